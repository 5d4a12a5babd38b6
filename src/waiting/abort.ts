/**
 * Calls `listener` with the signal's reason once the signal is aborted, at once if it already is.
 *
 * @returns stops listening
 */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => undefined;
  const aborted = (): void => {
    listener(signal.reason);
  };
  if (signal.aborted) {
    aborted();
    return () => undefined;
  }
  signal.addEventListener('abort', aborted, { once: true });
  return () => {
    signal.removeEventListener('abort', aborted);
  };
}
