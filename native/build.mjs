// Builds the addon for this machine, as part of `npm ci` in a clone: `node native/build.mjs [SECONDS]`, at
// most 300 s unless told otherwise. It never fails the installation: without the addon the library uses the
// commands. One line then says why, and how to try again.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NATIVE = dirname(fileURLToPath(import.meta.url));
const BUILD = join(NATIVE, 'build');
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const DEFAULT_LIMIT_S = 300;
const limitS = Number(process.argv[2] ?? DEFAULT_LIMIT_S);
if (!(limitS > 0 && limitS <= 86_400)) {
  console.error('usage: node native/build.mjs [SECONDS]');
  process.exit(2);
}

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

/**
 * Resolves with undefined, or with why there is no addon and perhaps with how much time to allow the next
 * time.
 */
function build() {
  const require = createRequire(import.meta.url);
  let nodeGyp;
  try {
    nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return Promise.resolve({ reason: 'node-gyp is not installed' });
  }
  return new Promise((resolve) => {
    // Its own process group, so that the compiler ends with it at the time limit.
    const child = spawn(process.execPath, [nodeGyp, 'rebuild', '--release', '--jobs=max', ...headers()], {
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
    const end = (failure) => {
      clearTimeout(timer);
      for (const signal of SIGNALS) process.off(signal, interrupted);
      resolve(failure);
    };
    const killAll = () => {
      process.kill(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(() => {
      killAll();
      end({ reason: `it took longer than ${limitS} s`, nextLimitS: Math.ceil(limitS * 3) });
    }, limitS * 1000);
    const interrupted = (signal) => {
      killAll();
      end(undefined);
      process.kill(process.pid, signal);
    };
    for (const signal of SIGNALS) process.on(signal, interrupted);
    child.on('error', (error) => {
      end({ reason: error.message });
    });
    child.on('close', (code) => {
      end(code === 0 ? undefined : { reason: reasonIn(output) });
    });
  });
}

/** The reason in node-gyp's output, in a few words. */
function reasonIn(output) {
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

const failure =
  process.platform === 'linux' ? await build() : { reason: 'volumes are measured on Linux only' };
if (failure !== undefined) {
  const { reason, nextLimitS } = failure;
  // The library repeats it in activeBinding().
  rmSync(BUILD, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  writeFileSync(join(BUILD, 'not-built.txt'), reason);
  const command = ['node', 'native/build.mjs', ...(nextLimitS === undefined ? [] : [nextLimitS])].join(' ');
  console.log(
    `kube-volume-metrics: the native addon was not built: ${reason}; ` +
      `the commands df, stat, du and find are used until you try again with: ${command}`,
  );
}
