import { LONGEST_TIMER_MS } from './collection-options.js';

/**
 * Keeps the process alive while somebody waits: the timers that end a call which does not come back do not, and without anything
 * else to do the process would end before its answer.
 */
export async function keepAlive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
