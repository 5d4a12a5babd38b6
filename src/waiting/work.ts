/** Milliseconds of work by the signal of the call that it was done for. An entry goes with its signal. */
const workBySignal = new WeakMap<AbortSignal, number>();

/** The call that began another one, by the other one's signal. */
const callers = new WeakMap<AbortSignal, AbortSignal>();

/**
 * Adds `ms` milliseconds to the work done for the call with this signal, and for the call that began it. Work
 * is the CPU time of the call's threads or children and the time that they waited for the disk: what other
 * processes used during that time is not part of it. Who notes 0 says that work will be noted as it is done.
 */
export function noteWork(signal: AbortSignal | undefined, ms: number): void {
  for (let each = signal; each !== undefined; each = callers.get(each)) {
    workBySignal.set(each, (workBySignal.get(each) ?? 0) + ms);
  }
}

/**
 * The call with the signal `caller` begins the one with `signal`. Work for that one is work for its caller.
 */
export function noteCaller(signal: AbortSignal, caller: AbortSignal | undefined): void {
  if (caller !== undefined && caller !== signal) callers.set(signal, caller);
}

/** The work done for the call with this signal, in milliseconds; undefined if none was noted. */
export function workOf(signal: AbortSignal): number | undefined {
  return workBySignal.get(signal);
}
