import { setTimeout } from 'node:timers/promises';

/** A terminal shows each second; whatever else reads the output gets it less often. */
const TERMINAL_MS = 1_000;
const OTHER_MS = 5_000;

/** To the upper left corner, and what was there before is erased. */
const CLEAR = '\u001b[H\u001b[2J';

/**
 * Aborted by Ctrl-C, by SIGTERM, when the terminal is closed, or when nobody reads the output any more; its
 * reason is the signal's name, or `EPIPE`.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  // Not once: npm passes on the SIGINT that the terminal has sent to the program already, and the second one
  // would end it before it has cleaned up.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      controller.abort(name);
    });
  }
  process.stdout.on('error', () => {
    controller.abort('EPIPE');
  });
  return controller.signal;
}

/** Shows a text again and again, as it is at each time, until it is stopped. */
export async function show(text: () => string, stop: AbortSignal): Promise<void> {
  const { isTTY } = process.stdout;
  while (!stop.aborted) {
    process.stdout.write(`${isTTY ? CLEAR : ''}${text()}\n`);
    await setTimeout(isTTY ? TERMINAL_MS : OTHER_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}
