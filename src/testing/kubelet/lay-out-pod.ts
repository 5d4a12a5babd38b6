import { createHash } from 'node:crypto';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RootMounts } from './root-mounts.js';

/** A pod as the kubelet or the API server describes it: the part that laying it out needs. */
export interface ApiPod {
  readonly metadata: {
    readonly uid: string;
    readonly name: string;
    readonly namespace: string;
    readonly annotations?: Readonly<Record<string, string>> | null;
  };
  readonly spec: {
    readonly volumes?: readonly ApiVolume[] | null;
    readonly containers?: readonly ApiContainer[] | null;
    readonly initContainers?: readonly ApiContainer[] | null;
  };
  readonly status?: { readonly phase?: string } | null;
}

/** One of a pod's volumes: its name, and one key that says what it is. */
export type ApiVolume = { readonly name: string } & Readonly<Record<string, unknown>>;

export interface ApiContainer {
  readonly name: string;
  readonly volumeMounts?: readonly { readonly name: string; readonly subPath?: string }[] | null;
  readonly volumeDevices?: readonly { readonly name: string }[] | null;
}

/** A PersistentVolume as the API server describes it: the part that laying it out needs. */
export interface ApiPersistentVolume {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly claimRef?: { readonly namespace: string; readonly name: string } | null;
    readonly volumeMode?: string;
    readonly csi?: { readonly driver: string; readonly volumeHandle: string } | null;
  } & Readonly<Record<string, unknown>>;
}

/** What laying out a pod needs besides the pod. */
export interface LayOut {
  readonly root: string;
  readonly nodeName: string;
  /** Undefined if nothing is mounted. */
  readonly mounts: RootMounts | undefined;
  readonly volumeOf: (namespace: string, claim: string) => ApiPersistentVolume | undefined;
  /**
   * What is mounted for a PersistentVolume, or for an inline CSI volume, by name: a directory or a device.
   */
  readonly sourceOf: (name: string) => string | undefined;
}

/** Inline volumes that have a folder of their own name: plugin, and whether it is a tmpfs. */
const INLINE: Readonly<Record<string, readonly [plugin: string, isTmpfs: boolean]>> = {
  emptyDir: ['empty-dir', false],
  configMap: ['configmap', false],
  secret: ['secret', true],
  downwardAPI: ['downward-api', true],
  projected: ['projected', true],
  gitRepo: ['git-repo', false],
};

/** Plugins of PersistentVolumes, by the key of their source. */
const PLUGINS: Readonly<Record<string, string>> = {
  csi: 'csi',
  local: 'local-volume',
  nfs: 'nfs',
  iscsi: 'iscsi',
  fc: 'fc',
};

/** Makes the folder of one pod, as the kubelet does. */
export function layOutPod(pod: ApiPod, layOut: LayOut): void {
  const { uid } = pod.metadata;
  const folder = `${layOut.root}/pods/${uid}`;
  const containers = [...(pod.spec.initContainers ?? []), ...(pod.spec.containers ?? [])];
  for (const { name } of containers) makeFolder(`${folder}/containers/${name}`);
  makeFolder(`${folder}/plugins`);
  makeFolder(`${folder}/volumes`);
  // The kubelet takes the volumes of a pod that has ended down.
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
  writeFileSync(`${folder}/etc-hosts`, '127.0.0.1\tlocalhost\n');
  for (const volume of pod.spec.volumes ?? []) {
    const uses = (
      list: (of: ApiContainer) => readonly { readonly name: string }[] | null | undefined,
    ): boolean => containers.some((each) => list(each)?.some(({ name }) => name === volume.name));
    if (!uses(({ volumeMounts }) => volumeMounts) && !uses(({ volumeDevices }) => volumeDevices)) continue;
    layOutVolume(pod, volume, folder, layOut);
  }
  for (const container of containers) layOutSubPaths(pod, container, folder, layOut);
}

function layOutVolume(pod: ApiPod, volume: ApiVolume, folder: string, layOut: LayOut): void {
  const { name } = volume;
  const [kind, inlineRow] = Object.entries(INLINE).find(([key]) => Object.hasOwn(volume, key)) ?? [];
  const emptyDir = volume['emptyDir'] as { readonly medium?: string } | null | undefined;
  if (inlineRow !== undefined) {
    const [plugin, isTmpfs] = inlineRow;
    const path = `${folder}/volumes/kubernetes.io~${plugin}/${name}`;
    makeFolder(path);
    const wrapped = kind === 'emptyDir' ? name : `wrapped_${name}`;
    makeFile(`${folder}/plugins/kubernetes.io~empty-dir/${wrapped}/ready`, '');
    if (isTmpfs || emptyDir?.medium === 'Memory') layOut.mounts?.tmpfs(path);
    return;
  }
  const inline = volume['csi'] as { readonly driver: string } | null | undefined;
  if (inline) {
    const volumeHandle = `csi-${sha256(`${pod.metadata.uid}${name}`)}`;
    layOutCsi({ name, driver: inline.driver, volumeHandle, mode: 'Ephemeral' }, folder, layOut);
    return;
  }
  const persistent = persistentVolumeOf(pod, volume, layOut);
  if (persistent !== undefined) layOutPersistent(pod.metadata.uid, persistent, folder, layOut);
}

function persistentVolumeOf(pod: ApiPod, volume: ApiVolume, layOut: LayOut): ApiPersistentVolume | undefined {
  const claim = volume['persistentVolumeClaim'] as { readonly claimName: string } | null | undefined;
  const name = claim?.claimName ?? (volume['ephemeral'] ? `${pod.metadata.name}-${volume.name}` : undefined);
  return name === undefined ? undefined : layOut.volumeOf(pod.metadata.namespace, name);
}

function layOutPersistent(
  uid: string,
  { metadata, spec }: ApiPersistentVolume,
  folder: string,
  layOut: LayOut,
): void {
  const { name } = metadata;
  const plugin = Object.entries(PLUGINS).find(([key]) => spec[key])?.[1];
  if (plugin === undefined) return;
  const source = layOut.sourceOf(name);
  if (spec.volumeMode === 'Block') {
    const link = `${folder}/volumeDevices/kubernetes.io~${plugin}/${name}`;
    if (spec.csi) layOutCsiBlock(uid, name, spec.csi, link, layOut);
    else {
      const device = `${layOut.root}/plugins/kubernetes.io~${plugin}/volumeDevices/${name}/${uid}`;
      layOutDevice(device, source, layOut);
      makeLink(source ?? device, link);
    }
    return;
  }
  if (spec.csi) {
    layOutCsi({ name, ...spec.csi, mode: 'Persistent' }, folder, layOut);
    return;
  }
  const path = `${folder}/volumes/kubernetes.io~${plugin}/${name}`;
  makeFolder(path);
  mountVolume(path, source, layOut);
}

interface CsiToLayOut {
  readonly name: string;
  readonly driver: string;
  readonly volumeHandle: string;
  readonly mode: 'Persistent' | 'Ephemeral';
}

function layOutCsi({ name, driver, volumeHandle, mode }: CsiToLayOut, folder: string, layOut: LayOut): void {
  const { nodeName, root } = layOut;
  const path = `${folder}/volumes/kubernetes.io~csi/${name}`;
  makeFolder(`${path}/mount`);
  const attachmentID = attachmentOf(volumeHandle, driver, nodeName);
  const notes = { attachmentID, driverName: driver, nodeName, specVolID: name, volumeHandle };
  writeFileSync(`${path}/vol_data.json`, `${JSON.stringify({ ...notes, volumeLifecycleMode: mode })}\n`);
  if (mode === 'Persistent') {
    const staging = `${root}/plugins/kubernetes.io/csi/${driver}/${sha256(volumeHandle)}`;
    makeFolder(`${staging}/globalmount`);
    writeFileSync(`${staging}/vol_data.json`, `${JSON.stringify({ driverName: driver, volumeHandle })}\n`);
  }
  mountVolume(`${path}/mount`, layOut.sourceOf(name), layOut);
}

function layOutCsiBlock(
  uid: string,
  name: string,
  { driver, volumeHandle }: { readonly driver: string; readonly volumeHandle: string },
  link: string,
  layOut: LayOut,
): void {
  const { nodeName } = layOut;
  const folder = `${layOut.root}/plugins/kubernetes.io/csi/volumeDevices`;
  makeFolder(`${folder}/staging/${name}`);
  const attachmentID = attachmentOf(volumeHandle, driver, nodeName);
  const notes = { attachmentID, driverName: driver, nodeName, specVolID: name, volumeHandle };
  makeFile(`${folder}/${name}/data/vol_data.json`, `${JSON.stringify(notes)}\n`);
  const publish = `${folder}/publish/${name}/${uid}`;
  for (const device of [publish, `${folder}/${name}/dev/${uid}`]) {
    layOutDevice(device, layOut.sourceOf(name), layOut);
  }
  makeLink(publish, link);
}

/** The kubelet makes an empty file and mounts the device's on it. */
function layOutDevice(path: string, source: string | undefined, { mounts }: LayOut): void {
  makeFile(path, '');
  if (source !== undefined) mounts?.bind(source, path);
}

/** Mounts a volume: its source, or a tmpfs. */
function mountVolume(path: string, source: string | undefined, { mounts }: LayOut): void {
  if (source === undefined) mounts?.tmpfs(path);
  else mounts?.bind(source, path);
}

/** The kubelet mounts each part of a volume that a container uses by subPath. */
function layOutSubPaths(
  pod: ApiPod,
  { name, volumeMounts }: ApiContainer,
  folder: string,
  layOut: LayOut,
): void {
  for (const [index, mount] of (volumeMounts ?? []).entries()) {
    if (mount.subPath === undefined || mount.subPath === '') continue;
    const volume = pod.spec.volumes?.find((each) => each.name === mount.name);
    if (volume === undefined) continue;
    const inner = persistentVolumeOf(pod, volume, layOut)?.metadata.name ?? volume.name;
    makeFolder(`${folder}/volume-subpaths/${inner}/${name}/${String(index)}`);
  }
}

function attachmentOf(volumeHandle: string, driver: string, nodeName: string): string {
  return `csi-${sha256(`${volumeHandle}${driver}${nodeName}`)}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o750 });
}

function makeFile(path: string, text: string): void {
  makeFolder(dirname(path));
  // A volume of two pods has one file of notes.
  if (statSync(path, { throwIfNoEntry: false }) === undefined) writeFileSync(path, text);
}

function makeLink(target: string, path: string): void {
  makeFolder(dirname(path));
  symlinkSync(target, path);
}
