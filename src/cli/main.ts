#!/usr/bin/env node
import { run } from './run.js';

void run(process.argv.slice(2)).then((exitCode) => {
  // Not by waiting for the event loop to empty: a volume that is stuck must not hold up the end.
  process.exit(exitCode);
});
