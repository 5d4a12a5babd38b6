// Makes the tarball's prebuilt addon for this platform. Unlike build.mjs it fails when it
// cannot: a tarball without the addon would go out unnoticed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NATIVE = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const prefix = dirname(dirname(process.execPath));
const nodedir = existsSync(join(prefix, 'include/node/node_api.h')) ? { npm_config_nodedir: prefix } : {};

// An empty HOME is refused by node-gyp; without one it asks the system.
const { HOME, ...others } = process.env;
const environment = HOME ? { HOME, ...others } : others;

rmSync(join(NATIVE, 'prebuilds'), { recursive: true, force: true });
const { status, stdout, stderr } = spawnSync(
  process.execPath,
  [require.resolve('prebuildify/bin.js'), '--napi', '--strip', '--tag-libc', '--name', 'kube-volume-metrics'],
  {
    cwd: NATIVE,
    encoding: 'utf8',
    // prebuildify starts node-gyp by this name.
    env: {
      ...environment,
      ...nodedir,
      JOBS: 'max',
      PREBUILD_NODE_GYP: require.resolve('node-gyp/bin/node-gyp.js'),
    },
  },
);
if (status !== 0) {
  process.stderr.write(stdout + stderr);
  throw new Error('the addon could not be prebuilt; packing needs a C++ compiler and Python 3');
}
console.log(
  `prebuilt: ${readdirSync(join(NATIVE, 'prebuilds'), { recursive: true })
    .filter((name) => name.endsWith('.node'))
    .join(', ')}`,
);
