import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeletNode } from 'kube-volume-metrics/kubelet';
import { makeKubeletRoot } from 'kube-volume-metrics/testing/kubelet';
import { FuseServer } from '../test/support/fuse.mjs';
import { median } from './rounds.mjs';

export const about = "finding a node's volumes";

const PODS = 250;
const MOUNTS_OF_A_POD = 4;
const ROUNDS = 41;

/** Eight volumes: four that are mounts if this process may mount, and two claims with notes of their driver. */
function podOf(index) {
  const name = `pod-${index}`;
  const volumes = [
    { name: 'data', persistentVolumeClaim: { claimName: `data-${index}` } },
    { name: 'inline', csi: { driver: 'fake.csi.example' } },
    { name: 'token', projected: {} },
    { name: 'secret', secret: {} },
    { name: 'config', configMap: {} },
    { name: 'tmp', emptyDir: {} },
    { name: 'cache', emptyDir: {} },
    { name: 'logs', emptyDir: {} },
  ];
  const volumeMounts = volumes.map((volume) => ({ name: volume.name, mountPath: `/${volume.name}` }));
  return {
    metadata: {
      uid: `${String(index).padStart(8, '0')}-0000-4000-8000-000000000000`,
      name,
      namespace: 'bench',
    },
    spec: { volumes, containers: [{ name: 'main', volumeMounts }] },
    status: { phase: 'Running' },
  };
}

function claimedVolume(index) {
  return {
    metadata: { name: `pvc-${index}` },
    spec: {
      claimRef: { namespace: 'bench', name: `data-${index}` },
      csi: { driver: 'fake.csi.example', volumeHandle: `volume-${index}` },
    },
  };
}

/** The pod as a source of pods gives it. */
function listedPod({ metadata, spec, status }) {
  return {
    apiUid: metadata.uid,
    folderUid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    phase: status.phase,
    isStatic: false,
    volumes: spec.volumes.map((volume) => {
      const kind = Object.keys(volume)[1];
      const claimName = volume.persistentVolumeClaim?.claimName;
      return {
        name: volume.name,
        kind,
        ...(claimName !== undefined && { claimName }),
        ...(volume.csi !== undefined && { csi: volume.csi }),
      };
    }),
    containers: spec.containers.map(({ name, volumeMounts }) => ({
      name,
      type: 'container',
      volumeMounts: volumeMounts.map((mount, index) => ({ ...mount, index })),
      volumeDevices: [],
      restartCount: 0,
    })),
  };
}

export async function run(report) {
  const pods = Array.from({ length: PODS }, (_, index) => podOf(index));
  const folder = join(fs.mkdtempSync(join(tmpdir(), 'kvm-bench-')), 'kubelet');
  const root = makeKubeletRoot(folder, pods, {
    persistentVolumes: pods.map((_, index) => claimedVolume(index)),
  });
  try {
    // Each listing of a real source makes new objects.
    const listings = [pods.map(listedPod), pods.map(listedPod)];
    const source = {
      name: 'bench',
      pods: () => {
        listings.reverse();
        return Promise.resolve({ pods: listings[0], problems: [] });
      },
    };
    const node = new KubeletNode({ rootDir: root.rootDir, pods: source });
    const find = async () => {
      let volumes = 0;
      for (const { metadata } of await node.getPods()) {
        volumes += (await node.listVolumesForPod(metadata.uid)).size;
      }
      if (volumes !== PODS * 8) throw new Error(`${volumes} volumes were found`);
    };
    const bare = () => readAll(root.rootDir);
    const cpu = await interleavedCpu({ find, bare });
    const mounts = root.isMounted ? `${PODS * MOUNTS_OF_A_POD} mounts` : 'nothing mounted';
    const what = `${PODS} pods of 8 volumes, ${mounts}`;
    report.figure({ what: `all volumes of a node, ${what}`, value: cpu.find, unit: 'ms CPU' });
    report.figure({ what: `a loop that only reads the same, ${what}`, value: cpu.bare, unit: 'ms CPU' });
    report.figure({ what: 'finding against only reading', value: cpu.find / cpu.bare, unit: 'x', goal: 1.5 });
    if (root.isMounted) {
      const change = otherMount(join(folder, '..', 'other'));
      try {
        const changed = await interleavedCpu({ find, bare }, change.next);
        const ratio = changed.find / changed.bare;
        report.figure({ what: 'the same after a change of mounts', value: ratio, unit: 'x' });
      } finally {
        change.end();
      }
      await besideStuckMount(report, root.rootDir, find, bare);
    }
    node.close();
  } finally {
    root.close();
    fs.rmSync(join(folder, '..'), { recursive: true });
  }
}

/** Somebody else's mount, which comes or goes with each call. */
function otherMount(point) {
  let isThere = false;
  fs.mkdirSync(point);
  const toggle = () => {
    if (isThere) execFileSync('umount', [point]);
    else execFileSync('mount', ['-t', 'tmpfs', 'bench', point]);
    isThere = !isThere;
  };
  return {
    next: toggle,
    end: () => {
      if (isThere) toggle();
    },
  };
}

/** One volume is a filesystem that never answers: it is found, too. */
async function besideStuckMount(report, root, find, bare) {
  const server = new FuseServer();
  try {
    const point = `${root}/pods/${podOf(0).metadata.uid}/volumes/kubernetes.io~empty-dir/tmp`;
    const mount = await server.mount({}, 'unanswered').catch(String);
    if (typeof mount === 'string') {
      report.skipped('finding beside a stuck mount', mount);
      return;
    }
    execFileSync('mount', ['--bind', mount.path, point]);
    try {
      const cpu = await interleavedCpu({ find, bare });
      const ratio = cpu.find / cpu.bare;
      report.figure({ what: 'the same beside a stuck mount', value: ratio, unit: 'x', goal: 1.5 });
    } finally {
      execFileSync('umount', ['--lazy', point]);
    }
  } finally {
    await server.close();
  }
}

/** The same folders, the same notes and the list of mounts, and nothing made of them. */
function readAll(root) {
  let bytes = fs.readFileSync('/proc/self/mountinfo').length;
  for (const uid of fs.readdirSync(join(root, 'pods'))) {
    const pod = `${root}/pods/${uid}`;
    for (const part of fs.readdirSync(pod)) {
      if (part !== 'volumes') continue;
      for (const plugin of fs.readdirSync(`${pod}/${part}`)) {
        for (const name of fs.readdirSync(`${pod}/${part}/${plugin}`)) {
          if (plugin === 'kubernetes.io~csi') {
            bytes += fs.readFileSync(`${pod}/${part}/${plugin}/${name}/vol_data.json`).length;
          }
        }
      }
    }
  }
  return bytes;
}

/** The median of the processor time of each, in milliseconds, in turn; `before` is called before each. */
async function interleavedCpu(candidates, before = () => undefined) {
  const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  const turns = Object.entries(candidates);
  for (let round = -2; round < ROUNDS; round++) {
    turns.push(turns.shift());
    for (const [name, work] of turns) {
      before();
      globalThis.gc?.();
      const start = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(start);
      if (round >= 0) times[name].push((user + system) / 1000);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}
