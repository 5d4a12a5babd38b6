import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from './doors.mjs';
import { make, makeAccount, makeClaim, makePod, podSpec, SLEEP } from './objects.mjs';
import {
  CSI_VOLUMES,
  DRIVER,
  DRIVER_WITHOUT_STATS,
  HOST_PATH,
  IMAGE,
  LOCAL_VOLUME,
  NODE_NAME,
  STATE,
  STATIC_PODS,
} from './place.mjs';

/** Pods with every kind of volume that a node can have without foreign storage, and some that go wrong. */

const write = (file, kilobytes) => `dd if=/dev/zero of=${file} bs=1k count=${kilobytes} 2>/dev/null`;
const csi = (volumeHandle, more = {}) => ({ csi: { driver: DRIVER, volumeHandle, ...more } });
const claimed = (name, claimName, more = {}) => ({ name, persistentVolumeClaim: { claimName, ...more } });

/** Makes all of them, and waits until each runs, has ended or, `crash`, has been started. */
export async function makePods() {
  await makeAccounts();
  await make('ConfigMap', 'cm', { data: { 'a.txt': 'alpha\n', 'b.txt': 'x'.repeat(5000) } });
  await make('Secret', 'sec', { stringData: { user: 'u', password: 'p' } });
  writeFileSync(join(HOST_PATH, 'f'), 'h'.repeat(10_000));
  makeStaticPod();
  await makePod('first', { spec: { automountServiceAccountToken: false } });
  await makeKinds();
  await makeLocal();
  await makeCsi();
  await makeEphemeral();
  await makeSick();
  await makePod('image', { volumes: [{ name: 'img', image: { reference: IMAGE, pullPolicy: 'Never' } }] });
  await makeEnding();
  await makeClaim('in-other', { size: '1Gi', source: csi('vol-other'), namespace: 'other' });
  await makePod('far', { namespace: 'other', volumes: [claimed('data', 'in-other')] });
  await podsRun();
}

/** Waits until every pod of the node runs or has ended; one that fails and is started again counts as running. */
export async function podsRun(limitMs = 120_000) {
  const limit = Date.now() + limitMs;
  for (;;) {
    const { items } = await get(`/api/v1/pods?fieldSelector=spec.nodeName%3D${NODE_NAME}`);
    const waiting = items.filter(({ status }) => !['Running', 'Succeeded'].includes(status.phase));
    const isStaticThere = items.some(({ metadata }) => metadata.name === `static-${NODE_NAME}`);
    if (waiting.length === 0 && isStaticThere) return;
    if (Date.now() > limit) {
      const names = waiting.map(({ metadata, status }) => `${metadata.name} (${status.phase})`);
      throw Object.assign(new Error(`pods do not run: ${names.join(', ')}`), { daemon: 'kubelet' });
    }
    await delay(100);
  }
}

/** Accounts that may do one thing at the kubelet, or all, or nothing. */
async function makeAccounts() {
  const single = ['proxy', 'pods', 'metrics', 'stats', 'healthz', 'configz'];
  for (const name of single) await makeAccount(`${name}-only`, [name]);
  await makeAccount('norole', []);
  await makeAccount('all-fine', single.slice(1));
  await makeAccount('all-old', ['proxy', 'metrics', 'stats', 'log', 'spec']);
}

/** A pod that the API server only hears of. */
function makeStaticPod() {
  const volumes = [{ name: 'scratch', emptyDir: {} }];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'static', namespace: 'kube-system' },
    spec: podSpec({ volumes, shell: `${write('/v/scratch/f', 64)}; ${SLEEP}` }),
  };
  // The kubelet reads whatever lies in the folder, also half of a file.
  const file = join(STATE, 'static.json');
  writeFileSync(file, JSON.stringify(pod));
  renameSync(file, join(STATIC_PODS, 'static.json'));
}

async function makeKinds() {
  const fields = ['labels', 'name'].map((path) => ({ path, fieldRef: { fieldPath: `metadata.${path}` } }));
  const token = { path: 'token', expirationSeconds: 3600, audience: 'https://kubernetes.default.svc' };
  await makePod('kinds', {
    labels: { app: 'kinds' },
    volumes: [
      { name: 'disk', emptyDir: {} },
      { name: 'limited', emptyDir: { sizeLimit: '10Mi' } },
      { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
      { name: 'memory-free', emptyDir: { medium: 'Memory' } },
      { name: 'cm', configMap: { name: 'cm' } },
      { name: 'sec', secret: { secretName: 'sec' } },
      { name: 'down', downwardAPI: { items: fields } },
      {
        name: 'token',
        projected: {
          sources: [
            { serviceAccountToken: token },
            { configMap: { name: 'cm' } },
            { secret: { name: 'sec' } },
          ],
        },
      },
      { name: 'host', hostPath: { path: HOST_PATH, type: 'Directory' } },
      { name: 'unused', emptyDir: {} },
    ],
    unmounted: ['unused'],
    mounts: [
      { name: 'disk', mountPath: '/sub/disk', subPath: 'inner/dir' },
      { name: 'cm', mountPath: '/sub/a.txt', subPath: 'a.txt' },
    ],
    shell: [
      'cd /v/disk',
      'for i in $(seq 200); do echo file $i > f$i; done',
      write('big', 300),
      'ln f1 hard; ln -s f2 soft; truncate -s 50M sparse; mkdir -p d/e',
      write('/v/memory/m', 1024),
      write('/v/limited/l', 128),
      SLEEP,
    ].join('; '),
  });
}

async function makeLocal() {
  await makeClaim('local', { size: '64Mi', source: { local: { path: LOCAL_VOLUME } } });
  await makePod('local', {
    volumes: [claimed('data', 'local')],
    shell: `${write('/v/data/f', 2000)}; ${SLEEP}`,
  });
  const image = join(STATE, 'local-block.img');
  writeFileSync(image, '');
  truncateSync(image, 12 * 1024 * 1024);
  const device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
  await makeClaim('local-block', { size: '12Mi', source: { local: { path: device } }, mode: 'Block' });
  await makePod('local-block', { volumes: [claimed('block', 'local-block')], devices: ['block'] });
}

/** Gives the driver a volume that is a filesystem, or a device, of its own; any other is a folder. */
export function makeVolumeImage(handle, megabytes) {
  const image = join(CSI_VOLUMES, `${handle}.img`);
  writeFileSync(image, '');
  truncateSync(image, megabytes * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
}

async function makeCsi() {
  makeVolumeImage('vol-img', 32);
  makeVolumeImage('vol-block', 16);
  makeVolumeImage('vol-shared', 24);
  await makeClaim('csi-dir', { size: '1Gi', source: csi('vol-dir') });
  await makeClaim('csi-img', { size: '32Mi', source: csi('vol-img', { fsType: 'ext4' }) });
  await makeClaim('csi-block', { size: '16Mi', source: csi('vol-block'), mode: 'Block' });
  await makeClaim('hp', { size: '1Gi', source: { hostPath: { path: HOST_PATH, type: '' } } });
  await makePod('csi', {
    volumes: [
      claimed('dir', 'csi-dir'),
      claimed('img', 'csi-img'),
      claimed('block', 'csi-block'),
      claimed('hp', 'hp'),
    ],
    devices: ['block'],
    shell: `${write('/v/img/f', 3000)}; ${SLEEP}`,
  });
  await makeClaim('shared', { size: '24Mi', source: csi('vol-shared'), access: 'ReadWriteMany' });
  await makePod('shared-a', { volumes: [claimed('data', 'shared')] });
  await makePod('shared-b', { volumes: [claimed('data', 'shared', { readOnly: true })] });
  const source = { csi: { driver: DRIVER_WITHOUT_STATS, volumeHandle: 'vol-nostats' } };
  await makeClaim('nostats', { size: '1Gi', source });
  await makePod('nostats', { volumes: [claimed('data', 'nostats')] });
}

/** Volumes that live as long as their pod: one inline, one with a claim made for it. */
async function makeEphemeral() {
  await makePod('inline', {
    volumes: [{ name: 'inline', csi: { driver: DRIVER, volumeAttributes: { size: '1Mi' } } }],
  });
  const labels = { kind: 'generic' };
  const spec = {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'manual',
    resources: { requests: { storage: '1Gi' } },
  };
  const pod = await makePod('generic', {
    volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { metadata: { labels }, spec } } }],
  });
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'generic', uid: pod.metadata.uid };
  await makeClaim('generic-scratch', {
    size: '1Gi',
    source: csi('vol-generic'),
    labels,
    ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
  });
}

/** A volume and a driver that say they are ill. */
async function makeSick() {
  const lines = [
    'DEGRADED SlowDisk reads take longer than a second',
    'DATA_LOSS BadBlocks 3 blocks are lost',
  ];
  mkdirSync(CSI_VOLUMES, { recursive: true });
  writeFileSync(join(CSI_VOLUMES, 'vol-sick.health'), `${lines.join('\n')}\n`);
  writeFileSync(join(CSI_VOLUMES, 'storage.health'), 'STORAGE_DEGRADED PathLost one of two paths is gone\n');
  await makeClaim('sick', { size: '1Gi', source: csi('vol-sick') });
  await makePod('sick', { volumes: [claimed('data', 'sick')] });
}

/** A pod that ends, and one that is started again and again. */
async function makeEnding() {
  const disk = { name: 'disk', emptyDir: {} };
  await makeClaim('done', { size: '1Gi', source: csi('vol-done') });
  await makeClaim('crash', { size: '1Gi', source: csi('vol-crash') });
  const shell = 'echo bye > /v/disk/f';
  await makePod('done', { volumes: [disk, claimed('data', 'done')], shell, restartPolicy: 'Never' });
  await makePod('crash', { volumes: [disk, claimed('data', 'crash')], shell: `${shell}; exit 3` });
}
