// The node that a round is measured on. bench/round/make_node.c makes it.
import { readFileSync } from 'node:fs';
import { MetricsDu, MetricsStatFs } from 'kube-volume-metrics';

/**
 * @typedef {object} Kind of volume
 * @property {string} name of the volume in its pod, and of its directory
 * @property {number} every it is in every so many-th pod
 * @property {boolean} isMounted whether a tmpfs of its own is mounted there
 * @property {boolean} isWalk whether it must be walked if it is mounted where it should be
 * @property {(path: string, isMounted: boolean) => import('kube-volume-metrics').MetricsProvider} provider
 */

const ownTmpfs = (path, requireMount) => new MetricsDu(path, { requireMount, ownTmpfs: 'statfs' });
const tree = (path) => new MetricsDu(path);
const claim = (path, requireMount) => new MetricsStatFs(path, { requireMount });

/** @type {readonly Kind[]} in the order in which the floor takes them */
const KINDS = [
  { name: 'token', every: 1, isMounted: true, isWalk: false, provider: ownTmpfs },
  { name: 'secret', every: 1, isMounted: true, isWalk: false, provider: ownTmpfs },
  { name: 'config-map', every: 1, isMounted: false, isWalk: true, provider: tree },
  { name: 'empty-dir', every: 2, isMounted: false, isWalk: true, provider: tree },
  { name: 'claim', every: 5, isMounted: true, isWalk: false, provider: claim },
  { name: 'large-empty-dir', every: 10, isMounted: false, isWalk: true, provider: tree },
];

const VOLUMES_OF_A_FILLER = 8;

/** The mounts of a machine before any pod has one. Fewer are filled up, so that tables have the same length. */
export const OWN_MOUNTS = 41;

/** @typedef {{ pod: string, name: string, path: string, isWalk: boolean, provider: Kind['provider'] }} Volume */

/**
 * The volumes of some pods.
 *
 * @param {{ root: string, isMounted: boolean }} node
 * @param {number} pods
 * @returns {Volume[]}
 */
export function volumesOf({ root, isMounted }, pods) {
  return Array.from({ length: pods }, (_, index) => ({ index, pod: `pod-${index}` })).flatMap(
    ({ index, pod }) =>
      KINDS.filter(({ every }) => index % every === 0).map((kind) => ({
        pod,
        name: kind.name,
        path: `${root}/${pod}/${kind.name}`,
        // Without mounts only the claim is asked by statfs, of the disk that it lies on.
        isWalk: kind.isWalk || (!isMounted && kind.name !== 'claim'),
        provider: kind.provider,
      })),
  );
}

/** How many mounts the volumes of some pods are. */
export function mountsOf(pods) {
  return KINDS.filter(({ isMounted }) => isMounted).reduce(
    (sum, { every }) => sum + Math.ceil(pods / every),
    0,
  );
}

/** The volumes that make_node fills up with: a token each, on a tmpfs of its own, every fourth of which is walked. */
export function fillers({ root, isMounted }, count) {
  return Array.from({ length: count }, (_, index) => ({
    pod: `filler-${Math.floor(index / VOLUMES_OF_A_FILLER)}`,
    name: `token-${index % VOLUMES_OF_A_FILLER}`,
    path: `${root}/fill/${index}`,
    isWalk: !isMounted || index % 4 === 0,
    provider: index % 4 === 0 ? tree : ownTmpfs,
  }));
}

/**
 * A line for each volume, for bench/round/floor.c.
 *
 * @param {readonly Volume[]} volumes
 */
export function floorList(volumes) {
  return volumes.map(({ isWalk, path }) => `${isWalk ? 'walk' : 'statfs'} ${path}\n`).join('');
}

/**
 * A StatsProvider of the volumes.
 *
 * @param {readonly Volume[]} volumes
 * @param {boolean} isMounted
 * @returns {import('kube-volume-metrics').StatsProvider}
 */
export function statsProvider(volumes, isMounted) {
  const pods = new Map();
  for (const { pod, name, path, provider } of volumes) {
    if (!pods.has(pod)) pods.set(pod, new Map());
    pods.get(pod).set(name, provider(path, isMounted));
  }
  const listed = [...pods].map(([uid, providers]) => ({
    metadata: { uid, name: uid, namespace: 'bench' },
    spec: {
      volumes: [...providers.keys()].map((name) =>
        name === 'claim' ? { name, persistentVolumeClaim: { claimName: `${uid}-claim` } } : { name },
      ),
    },
  }));
  return { getPods: () => listed, listVolumesForPod: (uid) => pods.get(uid) };
}

export function mountCount() {
  return readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n').length;
}
