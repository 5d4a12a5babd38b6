/**
 * Waits until `work` is over, but no longer than that.
 *
 * @param keepsAlive - whether the waiting keeps this process alive
 */
export async function atMost(ms: number, work: Promise<unknown>, keepsAlive: boolean): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
    if (!keepsAlive) timer.unref();
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}
