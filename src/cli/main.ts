#!/usr/bin/env node
import { run } from './run.js';

// An event loop that empties before there is an answer is no success.
process.exitCode = 1;
void run(process.argv.slice(2)).then((exitCode) => {
  // Not by waiting for the event loop to empty: a volume that is stuck must not hold up the end.
  process.exit(exitCode);
});
