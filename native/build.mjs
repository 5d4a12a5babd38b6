// Builds the addon for this machine, as part of `npm ci` in a clone. It never fails the installation: without the addon
// the library uses the commands, and this says in one line why.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NATIVE = dirname(fileURLToPath(import.meta.url));
const BUILD = join(NATIVE, 'build');
const LIMIT_MS = 60_000;

/** The Node headers beside the running node; without them node-gyp downloads them. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

/** An empty HOME is refused by node-gyp; without one it asks the system. */
function environment() {
  const { HOME, ...others } = process.env;
  return HOME ? { HOME, ...others } : others;
}

/** Resolves with undefined, or with why there is no addon. */
function build() {
  const require = createRequire(import.meta.url);
  let nodeGyp;
  try {
    nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return Promise.resolve('node-gyp is not installed');
  }
  return new Promise((resolve) => {
    // Its own process group, so that the compiler ends with it at the time limit.
    const child = spawn(process.execPath, [nodeGyp, 'rebuild', '--release', ...headers()], {
      cwd: NATIVE,
      env: environment(),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (chunk) => {
      output = (output + String(chunk)).slice(-65_536);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      process.kill(-child.pid, 'SIGKILL');
      resolve(`it took longer than ${LIMIT_MS / 1000} s`);
    }, LIMIT_MS);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve(error.message);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? undefined : reason(output));
    });
  });
}

/** The reason in node-gyp's output, in a few words. */
function reason(output) {
  if (output.includes('Could not find any Python')) return 'Python 3 was not found';
  // In the words of node-gyp, of a shell, of make and of Python.
  const tool =
    /not found: (\S+)|(\S+): (?:command )?not found$|(\S+): No such file or directory$|No such file or directory: '(.+)'$/im
      .exec(output)
      ?.slice(1)
      .find((name) => name !== undefined);
  if (tool) return `${tool.replace(/^.*\//, '')} was not found`;
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED/.test(output)) return 'the Node headers could not be downloaded';
  const error = /^.*\berror:? .*$/im.exec(output);
  return error ? error[0].trim().slice(0, 200) : 'the compiler failed';
}

const failure = process.platform === 'linux' ? await build() : `volumes are measured on Linux only`;
if (failure !== undefined) {
  // The library repeats it in activeBinding().
  rmSync(BUILD, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  writeFileSync(join(BUILD, 'not-built.txt'), failure);
  console.log(
    `kube-volume-metrics: the native addon was not built: ${failure}; the commands df, stat, du and find are used`,
  );
}
