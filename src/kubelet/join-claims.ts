import { errorText } from '../errors.js';
import { escapeControls } from '../escape.js';
import { Deadline } from '../waiting/deadline.js';
import { JoinedCall } from '../waiting/joined-call.js';
import type { FolderVolume, SubPathUse } from './disk/pod-folder.js';
import type { NodePod, NodeVolume } from './node-pod.js';
import type { Claim, ClaimSource, VolumeMode } from './sources.js';

/** What is known of a volume that a pod names by its claim. */
export interface ClaimedVolume {
  readonly volume: NodeVolume;
  /** How the containers use it; undefined if none does. */
  readonly mode: VolumeMode | undefined;
  /** Its folder. */
  entry?: FolderVolume;
  /** Its claim, if it had to be looked up. */
  claim?: Claim;
  /** What is not known, and why. */
  unknown?: string | undefined;
}

/** What joining needs besides the pod. */
export interface JoinContext {
  /** The folders of PersistentVolumes: those that are not an inline volume's. */
  readonly entries: readonly FolderVolume[];
  readonly subPaths: () => readonly SubPathUse[];
  readonly claims: ClaimSource | undefined;
}

export function isClaimed({ kind }: NodeVolume): boolean {
  return kind === 'persistentVolumeClaim' || kind === 'ephemeral';
}

/**
 * Finds out which folder belongs to which claim of a pod: a folder has the PersistentVolume's name, and the
 * pod has the claim's. In this order: the only claim and the only folder; what `volume-subpaths` says; the
 * claim, by name, at the API server. What is left over is open, and says why.
 */
export async function joinClaims(pod: NodePod, context: JoinContext): Promise<readonly ClaimedVolume[]> {
  const modes = modesOf(pod);
  const claimed = pod.volumes.filter(isClaimed).map((volume): ClaimedVolume => ({
    volume,
    mode: modes.get(volume.name),
  }));
  // A pod may name the same claim twice; there is one folder for both.
  const firsts = new Map<string, ClaimedVolume>();
  const firstOf = (one: ClaimedVolume): ClaimedVolume => {
    const key = `${one.volume.kind}/${one.mode ?? ''}/${one.volume.claimName ?? ''}`;
    const first = firsts.get(key) ?? one;
    firsts.set(key, first);
    return first;
  };
  const open = new Set(claimed.filter((one) => one.mode !== undefined && firstOf(one) === one));
  const free = new Set(context.entries);
  const join = (one: ClaimedVolume, entry: FolderVolume): void => {
    one.entry = entry;
    open.delete(one);
    free.delete(entry);
  };
  joinOnly(open, free, join);
  if (open.size > 0 && free.size > 0) {
    joinBySubPath(pod, context.subPaths(), open, free, join);
    joinOnly(open, free, join);
  }
  if (open.size > 0 && context.claims !== undefined) {
    await joinByName(pod, context.claims, open, free, join);
    joinOnly(open, free, join);
  }
  for (const one of open) one.unknown ??= whyOpen(one, free, context.claims);
  for (const one of claimed) {
    if (firstOf(one) !== one) Object.assign(one, { ...firstOf(one), volume: one.volume });
  }
  return claimed;
}

type Join = (one: ClaimedVolume, entry: FolderVolume) => void;

/** How a pod's containers use its volumes, by name. The kubelet mounts none that no container uses. */
export function modesOf({ containers }: NodePod): ReadonlyMap<string, VolumeMode> {
  const modes = new Map<string, VolumeMode>();
  for (const { volumeMounts } of containers)
    for (const { name } of volumeMounts) modes.set(name, 'Filesystem');
  for (const { volumeDevices } of containers) for (const { name } of volumeDevices) modes.set(name, 'Block');
  return modes;
}

function joinOnly(open: Set<ClaimedVolume>, free: Set<FolderVolume>, join: Join): void {
  for (const mode of ['Filesystem', 'Block'] as const) {
    const [one, ...others] = [...open].filter((each) => each.mode === mode && each.claim === undefined);
    const entries = [...free].filter((each) => each.mode === mode);
    const [entry] = entries;
    if (one !== undefined && entry !== undefined && others.length === 0 && entries.length === 1)
      join(one, entry);
  }
}

/** The folder in `volume-subpaths` has the PersistentVolume's name; container and index lead to the pod's. */
function joinBySubPath(
  pod: NodePod,
  uses: readonly SubPathUse[],
  open: Set<ClaimedVolume>,
  free: Set<FolderVolume>,
  join: Join,
): void {
  for (const entry of [...free]) {
    if (entry.mode !== 'Filesystem') continue;
    const names = new Set(
      uses
        .filter(({ volume }) => volume === entry.name)
        .map(({ container, index }) => {
          const mounts = pod.containers.find(({ name }) => name === container)?.volumeMounts;
          return mounts?.find((mount) => mount.index === index)?.name;
        }),
    );
    // An inline volume may have the PersistentVolume's name, and shares the folder then.
    const found = [...open].filter((one) => names.has(one.volume.name));
    const [one] = found;
    if (one !== undefined && found.length === 1) join(one, entry);
  }
}

async function joinByName(
  pod: NodePod,
  source: ClaimSource,
  open: Set<ClaimedVolume>,
  free: Set<FolderVolume>,
  join: Join,
): Promise<void> {
  await Promise.all(
    [...open].map(async (one) => {
      const { claimName } = one.volume;
      if (claimName === undefined) return;
      try {
        const claim = await lookUp(source, pod, claimName);
        one.unknown = claim === undefined ? `there is no claim ${escapeControls(claimName)}` : undefined;
        if (claim !== undefined) one.claim = claim;
      } catch (error) {
        const text = escapeControls(errorText(error));
        one.unknown = `which folder is this claim's is not known: ${source.name} was asked for it and failed: ${text}`;
      }
    }),
  );
  // Of two with the same name, the first counts.
  const byName = new Map([...free].reverse().map((entry) => [`${entry.mode}/${entry.name}`, entry]));
  for (const one of [...open]) {
    const { claim } = one;
    if (claim === undefined) continue;
    // Someone may make a claim of the name that Kubernetes would give to an ephemeral volume's.
    if (one.volume.kind === 'ephemeral' && !isOwnedBy(claim, pod)) {
      one.unknown = `the claim ${escapeControls(claim.name)} is not this pod's, so the kubelet does not mount it`;
      continue;
    }
    const entry = byName.get(`${one.mode ?? ''}/${claim.volumeName ?? ''}`);
    if (entry !== undefined && free.has(entry)) {
      delete one.unknown;
      join(one, entry);
    }
  }
}

/** An analyzer waits 10 s for a pod's volumes: those that are known must not wait for a claim. */
const LOOK_UP_MS = 5_000;

async function lookUp(source: ClaimSource, pod: NodePod, name: string): Promise<Claim | undefined> {
  const asked = new JoinedCall((signal) => source.claim(pod.namespace, name, { podUid: pod.apiUid, signal }));
  return await asked.join({
    deadline: new Deadline(LOOK_UP_MS),
    late: () => new Error(`no answer within ${String(LOOK_UP_MS)} ms`),
  });
}

function isOwnedBy(claim: Claim, pod: NodePod): boolean {
  return claim.ownerUids.includes(pod.apiUid);
}

function whyOpen(
  one: ClaimedVolume,
  free: Set<FolderVolume>,
  claims: ClaimSource | undefined,
): string | undefined {
  const { claim } = one;
  if (claim !== undefined) {
    if (claim.volumeProblem !== undefined) return escapeControls(claim.volumeProblem);
    if (claim.volumeName === undefined)
      return `the claim is ${claim.phase ?? 'not bound'}: it has no volume yet`;
    return undefined;
  }
  const candidates = [...free]
    .filter(({ mode }) => mode === one.mode)
    .map(({ name }) => escapeControls(name));
  if (candidates.length === 0) return undefined;
  const names = candidates.slice(0, 8).join(', ') + (candidates.length > 8 ? ', ...' : '');
  const advice = claims === undefined ? '; with a source of claims, the API server tells' : '';
  return `which of the volumes on disk (${names}) is this claim's is not known${advice}`;
}
