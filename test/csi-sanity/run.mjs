// Runs csi-sanity, pinned in go.mod, on the example driver: `npm run test:csi-sanity`. Go builds it, and keeps
// what it built in its own cache: cold a minute and a half on two cores, then seconds.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const HERE = import.meta.dirname;
const ROOT = resolve(HERE, '../..');
const PROGRAM = join(ROOT, 'node_modules/.cache/csi-sanity/csi-sanity');

function run(command, args, options) {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error?.code === 'ENOENT') fail(`${command} is missing: install Go 1.25 or newer (https://go.dev/dl)`);
  if (error !== undefined) fail(error.message);
  if (status !== 0) fail(`${command} ended with ${signal ?? String(status)}`);
}

function fail(why) {
  console.error(`csi-sanity: ${why}`);
  process.exit(1);
}

mkdirSync(dirname(PROGRAM), { recursive: true });
run(
  'go',
  [
    'build',
    '-mod=readonly',
    '-trimpath',
    '-buildvcs=false',
    '-o',
    PROGRAM,
    'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity',
  ],
  { cwd: HERE },
);
run(
  process.execPath,
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    'test/examples/csi-hostpath/csi-sanity-program.test.ts',
  ],
  { cwd: ROOT, env: { ...process.env, CSI_SANITY: PROGRAM } },
);
