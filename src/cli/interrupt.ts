import { setMaxListeners } from 'node:events';

/** Aborted by Ctrl-C (SIGINT), once: whoever presses it again ends the process, as without this. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  // One for each volume is what is meant; Node takes more than ten for a leak.
  setMaxListeners(0, controller.signal);
  process.once('SIGINT', () => {
    const reason = new Error('aborted by SIGINT');
    controller.abort(Object.assign(reason, { name: 'AbortError', code: 'ABORT_ERR' }));
  });
  return controller.signal;
}
