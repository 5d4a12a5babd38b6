import { startDriver } from './driver.js';
import { escapedLines } from './log.js';
import { programOptions, USAGE } from './program-options.js';

const log = escapedLines((line) => {
  process.stderr.write(`${line}\n`);
});

try {
  const options = programOptions(process.argv.slice(2), process.env);
  if (options === undefined) {
    process.stdout.write(USAGE);
  } else {
    const driver = await startDriver({ ...options, log });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      // Once: the second signal ends the process as it would any other.
      process.once(signal, () => {
        log(`${signal}: the calls in flight are answered, then the driver ends`);
        // Not by process.exit(), which waits for calls on dead mounts: when nothing is left to do, the
        // process ends.
        void driver.close();
      });
    }
  }
} catch (error) {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
