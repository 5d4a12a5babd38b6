#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { end, processesOf, startAgain, tag } from './daemons.mjs';
import { closeDoors } from './doors.mjs';
import { down } from './down.mjs';
import { holder, holderText, isTaken } from './lock.mjs';
import { missing } from './needs.mjs';
import { ADMIN_KUBECONFIG, KUBELET, KUBELET_ROOT, LOGS, PKI, PORTS, STATE } from './place.mjs';

const USAGE = `A real Kubernetes node on this machine: etcd, kube-apiserver, containerd and kubelet, as root, one at a time.

  npm run test:node [-- TESTS...]         start a node, run the tests of test/node on it, take it down
  npm run test:node -- record DIR         write what the kubelet and the API server say into a folder
  npm run test:node -- up [--bare]        start a node that stays; --bare: without the pods of pods.mjs
  npm run test:node -- run COMMAND...     start a node, run a command, take the node down when it ends
  npm run test:node -- down [--force]     take it down; --force: even if the process that started it still runs
  npm run test:node -- restart DAEMON     kill a daemon and start it again: kubelet, containerd, csi-driver...
  npm run test:node -- status             who has the node, and what runs
  npm run test:node -- build              only build the programs: cold minutes, then nothing

Before the command: --wait SECONDS for another node to go; --bare; --kubelet '{"syncFrequency":"1m"}' for more of
the kubelet's configuration; --gate Name=true for a feature gate, as often as needed.`;

const OPTIONS = {
  bare: { type: 'boolean' },
  force: { type: 'boolean' },
  help: { type: 'boolean' },
  wait: { type: 'string' },
  kubelet: { type: 'string' },
  gate: { type: 'string', multiple: true },
};

/** Tests need not wait for a kubelet that takes its time. */
const QUICK = { volumeStatsAggPeriod: '2s', syncFrequency: '4s' };

const began = Date.now();
const say = (text) => console.error(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);

const commands = {
  async test(args, options) {
    const vitest = [
      resolve('node_modules/vitest/vitest.mjs'),
      'run',
      '--config',
      'test/node/vitest.config.ts',
    ];
    const files = args.length > 0 ? args : ['test/node/tests/'];
    const quick = { ...options, kubelet: { ...QUICK, ...options.kubelet } };
    await onNode('test', [process.execPath, ...vitest, ...files], quick);
    // Whose tests start nodes of their own.
    if (args.length === 0) await finished([process.execPath, ...vitest, 'test/node/life.test.ts'], {});
  },

  async run(args, options) {
    if (args.length === 0) throw new Error('run needs a command');
    await onNode(args.join(' '), args, options);
  },

  async record([folder], options) {
    if (folder === undefined) throw new Error('record needs a folder');
    const { record } = await import('./record.mjs');
    await whileUp(`record ${folder}`, options, async () => await record(resolve(folder), say));
  },

  async up(_, options) {
    const { up } = await import('./up.mjs');
    const node = await up({ ...options, command: 'up', say });
    await node.letGo();
    console.log(`The node is up, until "npm run test:node -- down".
  API server   https://127.0.0.1:${PORTS.apiServer}  ${ADMIN_KUBECONFIG}
  kubelet      ${KUBELET}  ${PKI}/{ca,admin,nobody}.{crt,key}; without certificates http://127.0.0.1:${PORTS.kubeletReadOnly}
  its folder   ${KUBELET_ROOT}; sockets of drivers in plugins/DRIVER/csi.sock, registration in plugins_registry
  logs         ${LOGS}`);
  },

  async down(_, { force }) {
    const holding = holder();
    if (!isTaken()) return say('there is no node');
    if (holding?.runs === true && !force) {
      throw new Error(`this node is in use, ${holderText()}. Wait, or take it away with --force`);
    }
    await down();
    say('the node is down');
  },

  async restart([name]) {
    if (name === undefined || processesOf(name).length === 0)
      throw new Error(`there is no daemon ${name ?? ''}`);
    await end(() => processesOf(name));
    startAgain(name);
    say(`${name} runs again`);
  },

  status() {
    console.log(isTaken() ? `a node, ${holderText()}` : 'there is no node');
    for (const lack of missing()) console.log(`missing: ${lack}`);
  },

  async build() {
    const lacks = missing();
    if (lacks.length > 0) throw new Error(`a node cannot be built here. Missing: ${lacks.join('; ')}`);
    console.log(await build(say));
  },

  /** Takes the node of a process down when the pipe from it ends, unless it was let go before. */
  async janitor([pid]) {
    let text = '';
    for await (const chunk of process.stdin) text += chunk;
    if (text === 'let go') return;
    rmSync(`${STATE}-${pid}`, { recursive: true, force: true });
    if (holder()?.pid === Number(pid)) await down();
  },
};

/** Starts a node, does something, and takes the node down, whatever happens. */
async function whileUp(command, options, action) {
  const { up } = await import('./up.mjs');
  const node = await up({ ...options, command, say });
  try {
    await action();
  } finally {
    await down();
    await node.letGo();
    say('the node is down');
  }
}

/** Runs a command while there is a node, and ends it with the node. Its exit code is ours. */
async function onNode(title, command, options) {
  await whileUp(title, options, async () => {
    const env = { ...process.env, ...tag('command') };
    await finished(command, { detached: true, env });
  });
}

/** Runs a command. A failure is ours. */
async function finished([program, ...args], options) {
  const child = spawn(program, args, { stdio: 'inherit', ...options });
  const code = await new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code) => done(code ?? 1));
  });
  if (code !== 0) process.exitCode = code;
}

/** Options stand before the command, or after it unless what follows belongs to it. */
function parse(argv) {
  const rest = [...argv];
  const leading = [];
  while (rest[0]?.startsWith('--')) {
    const option = rest.shift();
    leading.push(option);
    if (OPTIONS[option.slice(2)]?.type === 'string' && rest.length > 0) leading.push(rest.shift());
  }
  const command = Object.hasOwn(commands, rest[0] ?? '') ? rest.shift() : 'test';
  const takesAll = command === 'test' || command === 'run';
  const { values, positionals } = parseArgs({
    args: takesAll ? leading : [...leading, ...rest],
    options: OPTIONS,
    allowPositionals: true,
  });
  const options = {
    withPods: !values.bare,
    waitMs: Number(values.wait ?? 0) * 1000,
    kubelet: JSON.parse(values.kubelet ?? '{}'),
    gates: values.gate ?? [],
    force: values.force === true,
    help: values.help === true,
  };
  return { command, args: takesAll ? rest : positionals, options };
}

try {
  const { command, args, options } = parse(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else await commands[command](args, options);
} catch (error) {
  say(error.message);
  process.exitCode = 1;
} finally {
  closeDoors();
}
