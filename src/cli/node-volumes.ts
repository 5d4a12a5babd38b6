import { FsResourceAnalyzer, type Pod, type StatsProvider, type VolumeStats } from '../index.js';
import { apiServerClaims, KubeletNode, type VolumeDescription } from '../kubelet/index.js';
import type { DoorValues } from './door-flags.js';
import { openDoors } from './doors.js';
import { listPods } from './listed-pods.js';
import {
  isWantedClaim,
  isWantedPod,
  type VolumeFilter,
  type VolumeRow,
  type VolumeRows,
} from './volume-row.js';

/** Finds the volumes of this node, and measures those that are wanted once. */
export async function nodeVolumes(
  values: DoorValues & { readonly hostPath?: 'unsupported' | 'statfs' | 'du' },
  filter: VolumeFilter,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<VolumeRows> {
  const doors = await openDoors(values, timeoutMs);
  try {
    const { source, listing, notes } = await listPods(doors, values.pods, signal);
    if (doors.rootDir === undefined) throw doors.rootProblem;
    const node = new KubeletNode({
      rootDir: doors.rootDir,
      pods: { name: source, pods: () => Promise.resolve(listing) },
      ...(doors.api !== undefined && { claims: apiServerClaims(doors.api) }),
      hostPath: values.hostPath,
    });
    try {
      const rows = await measuredVolumes(node, filter, timeoutMs, signal);
      return { rows, source, notes: [...notes, ...node.warnings()], isComplete: true };
    } finally {
      node.close();
    }
  } finally {
    doors.close();
  }
}

/** A pod, and those of its volumes that are wanted. */
interface WantedPod {
  readonly pod: Pod;
  readonly volumes: ReadonlyMap<string, VolumeDescription>;
}

async function measuredVolumes(
  node: KubeletNode,
  filter: VolumeFilter,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<VolumeRow[]> {
  const wanted = new Map<string, WantedPod>();
  const pods = (await node.getPods()).filter(({ metadata }) => isWantedPod(metadata, filter));
  const described = Promise.all(
    pods.map(async (pod) => {
      const { uid } = pod.metadata;
      const volumes = ((await node.describe(uid)) ?? []).filter(({ claim }) => isWantedClaim(claim, filter));
      if (volumes.length > 0) {
        wanted.set(uid, { pod, volumes: new Map(volumes.map((each) => [each.name, each])) });
      }
    }),
  );
  // Claims may be looked up, and a server that is silent must not delay Ctrl-C.
  await Promise.race([described, aborted(signal)]);
  signal.throwIfAborted();
  const provider: StatsProvider = {
    getPods: () => [...wanted.values()].map(({ pod }) => pod),
    listVolumesForPod: async (uid) => {
      const volumes = wanted.get(uid)?.volumes;
      const providers = await node.listVolumesForPod(uid);
      return providers && new Map([...providers].filter(([name]) => volumes?.has(name) === true));
    },
  };
  const stats = await measuredOnce(provider, timeoutMs, signal);
  return [...wanted].flatMap(([uid, { pod, volumes }]) =>
    [...volumes.values()].map((volume) => rowOf(pod, volume, stats.get(uid)?.get(volume.name))),
  );
}

/** What is known of each volume, by pod and name, after one round, or when it was interrupted. */
async function measuredOnce(
  provider: StatsProvider,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReadonlyMap<string, VolumeStats>>> {
  const analyzer = new FsResourceAnalyzer(provider, {
    ...{ periodMs: 0, timeoutMs, walkTimeoutMs: timeoutMs, walkShare: 1 },
  });
  await Promise.race([analyzer.calculate(), aborted(signal)]);
  const pods = analyzer.podVolumeStats();
  await analyzer.stop();
  return new Map(
    pods.map(({ podRef, ephemeralVolumes, persistentVolumes }) => [
      podRef.uid,
      new Map([...ephemeralVolumes, ...persistentVolumes].map((each) => [each.name, each])),
    ]),
  );
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}

const NO_ATTEMPT = { code: 'ABORT_ERR', message: 'not measured: the command was interrupted' };

function rowOf({ metadata }: Pod, volume: VolumeDescription, stats: VolumeStats | undefined): VolumeRow {
  const { name, kind, plugin, mode, path, driver, volumeHandle, claim, persistentVolume, unknown } = volume;
  const { state = 'pending', metrics, error } = stats ?? {};
  const reason = error ?? (state === 'pending' ? NO_ATTEMPT : undefined);
  return {
    ...(metadata.namespace !== '' && { namespace: metadata.namespace }),
    ...{ pod: metadata.name, uid: metadata.uid, name, kind },
    ...(plugin !== undefined && { plugin }),
    ...(mode !== undefined && { mode }),
    ...(path !== undefined && { path }),
    ...(driver !== undefined && { driver }),
    ...(volumeHandle !== undefined && { volumeHandle }),
    ...(claim !== undefined && { claim }),
    ...(persistentVolume !== undefined && { persistentVolume }),
    provider: volume.provider,
    state,
    ...(metrics !== undefined && { metrics }),
    ...(reason !== undefined && { error: errorOf(reason) }),
    unknown,
  };
}

function errorOf({
  code,
  message,
}: {
  readonly code: string;
  readonly message: string;
}): NonNullable<VolumeRow['error']> {
  // What is not supported needs no advice.
  const isExplained = code.startsWith('METRICS_') && code !== 'METRICS_NOT_SUPPORTED';
  return { code, message, ...(isExplained && { docs: `docs/errors.md#${code.toLowerCase()}` }) };
}
