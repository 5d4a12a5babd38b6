import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { end, processesOf, startAgain } from './daemons.mjs';
import { api, get, kubeletText } from './doors.mjs';
import { hasProgram } from './needs.mjs';
import { pathOf } from './objects.mjs';
import { BIN, KUBELET, KUBELET_ROOT, LOGS, NODE_NAME, PKI, PORTS, STATE } from './place.mjs';

/** Writes down what a kubelet and an API server say, for tests that run without them. */

const PATHS = {
  configz: '/configz',
  healthz: '/healthz',
  'metrics-cadvisor': '/metrics/cadvisor',
  'metrics-probes': '/metrics/probes',
  'metrics-resource': '/metrics/resource',
  metrics: '/metrics',
  pods: '/pods',
  runningpods: '/runningpods',
  'runningpods/': '/runningpods/',
  'stats-summary': '/stats/summary',
  allocatedPods: '/allocatedPods',
  statusz: '/statusz',
  flagz: '/flagz',
  'pods/': '/pods/',
  'metrics-slis': '/metrics/slis',
  logs: '/logs/',
  unknown: '/no-such-path',
};

const OBJECTS = {
  'pods-of-node': `/api/v1/pods?fieldSelector=spec.nodeName%3D${NODE_NAME}`,
  persistentvolumeclaims: '/api/v1/persistentvolumeclaims',
  persistentvolumes: '/api/v1/persistentvolumes',
  nodes: '/api/v1/nodes',
  csinodes: '/apis/storage.k8s.io/v1/csinodes',
  csidrivers: '/apis/storage.k8s.io/v1/csidrivers',
  storageclasses: '/apis/storage.k8s.io/v1/storageclasses',
  version: '/version',
};

/**
 * @param {string} folder - is made; what it has under the same names is written over
 * @param {(text: string) => void} say
 */
export async function record(folder, say) {
  if (!hasProgram('curl')) throw new Error('record needs the program curl, to see HTTP/2');
  mkdirSync(folder, { recursive: true });
  const write = (name, text) => writeFileSync(join(folder, name), text);
  const writeJson = (name, value) =>
    write(name, `${JSON.stringify(withoutManagedFields(value), undefined, 1)}\n`);
  await twoRounds();
  say('each volume was measured twice');

  const pods = JSON.parse(await kubeletText('/pods'));
  const ended = pods.items.filter(({ metadata: { name } }) => name === 'done' || name === 'crash');
  writeJson('pods.json', pods);
  writeJson('pods-ended-and-crashing.json', { ...pods, items: ended });
  for (const name of ['stats-summary', 'configz', 'runningpods']) {
    writeJson(`${name}.json`, JSON.parse(await kubeletText(PATHS[`${name}/`] ?? PATHS[name])));
  }
  for (const name of ['healthz', 'metrics-resource']) write(`${name}.txt`, await kubeletText(PATHS[name]));
  const metrics = await kubeletText('/metrics');
  write('metrics.txt', metrics);
  write('volume-metrics.txt', linesOf(metrics, /^(# (HELP|TYPE) )?kubelet_volume_/));
  for (const [name, path] of Object.entries(OBJECTS)) writeJson(`api-${name}.json`, await get(path));
  say('kubelet and API server');

  write('find-ls.txt', output('find', KUBELET_ROOT, '-ls'));
  write('mountinfo.txt', mountinfo());
  write('vol_data.txt', dataFiles());
  write('block-volumes.txt', blockVolumes());
  const calls = /GetVolumeHealth|GetStorageHealth|GetVolumeStats|NodePublish/;
  const log = readFileSync(join(LOGS, 'csi-driver.log'), 'utf8');
  write('csi-calls.txt', linesOf(log, calls).trim().split('\n').slice(-60).join('\n') + '\n');
  write('versions.txt', versions());
  say('the disk');

  write('auth.json', rowsText(await authMatrix()));
  say('who may ask for what');
  write('auth-open-and-http2.json', rowsText(await openKubelet()));
  say(`recorded in ${folder}`);
}

/** Waits until the kubelet has measured each volume twice. */
async function twoRounds() {
  const seen = new Map();
  for (;;) {
    const { pods } = JSON.parse(await kubeletText('/stats/summary'));
    for (const { podRef, volume = [] } of pods) {
      for (const { name, time } of volume) {
        const title = `${podRef.uid} ${name}`;
        seen.set(title, (seen.get(title) ?? new Set()).add(time));
      }
    }
    if (seen.size > 0 && [...seen.values()].every((times) => times.size >= 2)) return;
    await delay(1000);
  }
}

function withoutManagedFields(value) {
  if (Array.isArray(value)) return value.map(withoutManagedFields);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'managedFields')
      .map(([key, each]) => [key, withoutManagedFields(each)]),
  );
}

function linesOf(text, pattern) {
  const lines = text.split('\n').filter((line) => pattern.test(line));
  return `${lines.join('\n')}\n`;
}

function output(program, ...args) {
  return execFileSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
}

/** The mounts that every machine has, and those of the kubelet. */
function mountinfo() {
  const text = readFileSync(`/proc/${processesOf('kubelet')[0]}/mountinfo`, 'utf8');
  const usual = ['/', '/proc', '/sys', '/dev'];
  const lines = text.split('\n').filter((line) => {
    const path = line.split(' ')[4] ?? '';
    return usual.includes(path) || path === KUBELET_ROOT || path.startsWith(`${KUBELET_ROOT}/`);
  });
  return `${lines.join('\n')}\n`;
}

function filesBelow(folder) {
  return output('find', join(KUBELET_ROOT, folder), '-xdev').split('\n').filter(Boolean).sort();
}

function dataFiles() {
  return ['plugins', 'pods']
    .flatMap(filesBelow)
    .filter((path) => path.endsWith('/vol_data.json'))
    .map((path) => `== ${path}\n${readFileSync(path, 'utf8')}\n`)
    .join('\n');
}

/** Links to block devices, with what they lead to. */
function blockVolumes() {
  const lines = ['pods', 'plugins'].flatMap(filesBelow).flatMap((path) => {
    if (!path.includes('volumeDevices')) return [];
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isBlockDevice() !== true) return [];
    const [major, minor] = [Number((status.rdev >> 8) & 0xfff), Number(status.rdev & 0xff)];
    const link = attempt(() => readlinkSync(path));
    if (link === undefined) return [];
    return [`${path} -> ${link} => ${realpathSync(path)} block special file ${major}:${minor}`];
  });
  return `${lines.join('\n')}\n`;
}

function attempt(action) {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function versions() {
  const programs = ['kubelet', 'kube-apiserver', 'containerd', 'etcd', 'runc'];
  const lines = programs.map((name) => output(join(BIN, name), '--version').split('\n')[0]);
  return `${[...lines, output('uname', '-r').trim()].join('\n')}\n`;
}

/** Every path of the kubelet, asked with and without each right. */
async function authMatrix() {
  const good = await token('all-fine');
  const [header, payload, signature] = good.split('.');
  const tampered = [header, payload, (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1)].join('.');
  const single = ['proxy', 'pods', 'metrics', 'stats', 'healthz', 'configz'];
  const cases = {
    'refused-no-credentials': [],
    'refused-no-credentials-http1': ['--http1.1'],
    'refused-wrong-token': bearer('not-a-token'),
    'refused-tampered-token': bearer(tampered),
    'refused-token-of-another-audience': bearer(await token('all-fine', 'someone-else')),
    'refused-right-token-without-role': bearer(await token('norole')),
    'refused-right-certificate-without-role': certificate('nobody'),
    'refused-untrusted-client-certificate': certificate('untrusted'),
    ...Object.fromEntries(
      await Promise.all(
        single.map(async (each) => [
          `auth-bearer-token-role-with-nodes-${each}-only`,
          bearer(await token(`${each}-only`)),
        ]),
      ),
    ),
    'auth-bearer-token': bearer(good),
    'auth-bearer-token-http1': [...bearer(good), '--http1.1'],
    'auth-bearer-token-role-proxy-metrics-stats': bearer(await token('all-old')),
    'auth-client-certificate': certificate('admin'),
  };
  return [
    ...matrix(cases, KUBELET),
    ...matrix({ 'read-only-port': [] }, `http://127.0.0.1:${PORTS.kubeletReadOnly}`),
  ];
}

/** The same of a kubelet that lets everyone do everything and speaks HTTP/2. */
async function openKubelet() {
  const file = join(STATE, 'kubelet.json');
  const before = readFileSync(file, 'utf8');
  const config = JSON.parse(before);
  config.authentication.anonymous.enabled = true;
  config.authorization = { mode: 'AlwaysAllow' };
  config.featureGates.ReloadKubeletClientCAFile = false;
  try {
    await restartKubelet(JSON.stringify(config));
    const title = 'auth-anonymous-always-allow';
    return matrix(
      {
        [title]: [],
        [`${title}-with-wrong-token`]: bearer('not-a-token'),
        [`${title}-with-untrusted-certificate`]: certificate('untrusted'),
      },
      KUBELET,
    );
  } finally {
    await restartKubelet(before);
  }
}

async function restartKubelet(config) {
  await end(() => processesOf('kubelet'));
  writeFileSync(join(STATE, 'kubelet.json'), config);
  startAgain('kubelet');
  for (;;) {
    const pods = await kubeletText('/stats/summary').then(
      (text) => JSON.parse(text).pods,
      () => [],
    );
    if (pods.some(({ volume = [] }) => volume.length > 0)) return;
    await delay(200);
  }
}

async function token(account, audience) {
  const { object } = await api('POST', `${pathOf('ServiceAccount', account)}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: audience === undefined ? [] : [audience], expirationSeconds: 3600 },
  });
  return object.status.token;
}

function bearer(text) {
  return ['-H', `Authorization: Bearer ${text}`];
}

function certificate(name) {
  return ['--cert', join(PKI, `${name}.crt`), '--key', join(PKI, `${name}.key`)];
}

function matrix(cases, base) {
  return Object.entries(cases).flatMap(([title, args]) =>
    Object.entries(PATHS).map(([endpoint, path]) => {
      const { protocol, status, headers, body } = curl(base + path, args);
      const isKept = status !== 200 || endpoint === 'healthz';
      return {
        case: title,
        endpoint,
        protocol,
        status,
        headers,
        body: isKept ? body : '',
        bytes: Buffer.byteLength(body),
      };
    }),
  );
}

function curl(url, args) {
  const [headerFile, bodyFile] = ['headers', 'body'].map((name) => join(STATE, name));
  const common = [
    '-s',
    '--max-time',
    '20',
    '--cacert',
    join(PKI, 'ca.crt'),
    '-D',
    headerFile,
    '-o',
    bodyFile,
  ];
  const { stdout } = spawnSync('curl', [...common, '-w', '%{http_version} %{http_code}', ...args, url], {
    encoding: 'utf8',
  });
  const [version, status] = stdout.split(' ');
  const [headers, body] = [headerFile, bodyFile].map(
    (file) => attempt(() => readFileSync(file, 'utf8')) ?? '',
  );
  for (const file of [headerFile, bodyFile]) rmSync(file, { force: true });
  return { protocol: `HTTP/${version}`, status: Number(status), headers: headersIn(headers), body };
}

function headersIn(text) {
  const headers = {};
  for (const line of text.split('\r\n').slice(1)) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name.toLowerCase() === 'date') continue;
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  return headers;
}

/** One line for each row. */
function rowsText(rows) {
  return `[\n${rows.map((row) => ` ${JSON.stringify(row)}`).join(',\n')}\n]\n`;
}
