/** Milliseconds of work by the signal of the call that they were done for. An entry goes with its signal. */
const workBySignal = new WeakMap<AbortSignal, number>();

/**
 * Adds `ms` milliseconds to the work done for the call with this signal. Work is the CPU time of the call's threads or
 * children and the time that they waited for the disk: what other processes used meanwhile is no part of it.
 */
export function noteWork(signal: AbortSignal | undefined, ms: number): void {
  if (signal === undefined) return;
  workBySignal.set(signal, (workBySignal.get(signal) ?? 0) + ms);
}

/** The work done for the call with this signal, in milliseconds. `undefined` if nobody noted any. */
export function workOf(signal: AbortSignal): number | undefined {
  return workBySignal.get(signal);
}
