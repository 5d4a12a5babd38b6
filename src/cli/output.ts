/**
 * Writes to standard output and resolves when all of it is handed over. A reader that has gone (`| head`) has read
 * what it wanted: no error.
 */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error | null): void => {
      if (!error || ('code' in error && error.code === 'EPIPE')) resolve();
      else reject(error);
    };
    // Without a listener, the error that the callback is given would end the process as well.
    process.stdout.on('error', end);
    process.stdout.write(text, end);
  });
}
