import { keepOne } from './kept.js';

/**
 * Calls `listener` with the signal's reason once the signal is aborted, at once if it already is.
 *
 * @returns stops listening; never throws
 * @throws what a signal of foreign code throws when it is listened to
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
    try {
      signal.removeEventListener('abort', aborted);
    } catch {
      // A signal of foreign code. Its caller has what it waited for.
    }
  };
}

/**
 * Not the method of the same name, which signals of other libraries lack.
 *
 * @throws the signal's reason if it is aborted
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

keepOne(controllerListenedTo());

function controllerListenedTo(): AbortController {
  const controller = new AbortController();
  onAbort(controller.signal, () => undefined);
  return controller;
}
