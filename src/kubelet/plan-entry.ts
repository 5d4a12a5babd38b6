import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { escapeControls } from '../escape.js';
import type { Measure, PlannedVolume } from './described-volume.js';
import type { MountTable } from './disk/mount-table.js';
import { CSI, type FolderVolume } from './disk/pod-folder.js';
import { isDriverName } from './drivers/driver-name.js';
import { measuredBy } from './measured-by.js';
import type { NodeVolume } from './node-pod.js';
import type { Claim } from './sources.js';

/** Where a pod's volumes are. */
export interface PodPlace {
  /** The kubelet's root, without symlinks. */
  readonly root: string;
  /** The pod's folder. */
  readonly uid: string;
  readonly mounts: MountTable;
}

/** A volume's folder, and what is known of the volume it belongs to. */
export interface KnownEntry {
  readonly entry: FolderVolume;
  /** Undefined if it is not known which volume of the pod it is. */
  readonly volume?: NodeVolume | undefined;
  readonly claim?: Claim | undefined;
}

/** How a volume that is on disk is to be measured. */
export function planEntry(known: KnownEntry, place: PodPlace): Omit<PlannedVolume['about'], 'name' | 'kind'> & {
  readonly measure: Measure;
} {
  const { entry, volume } = known;
  const { plugin, mode } = entry;
  const row = measuredBy(plugin, volume?.medium);
  const isBlock = mode === 'Block';
  const way = isBlock ? row.block : row.filesystem;
  const path = isBlock ? devicePath(entry, place) : plugin === CSI ? `${entry.path}/mount` : entry.path;
  const mount = place.mounts.at(path);
  const about = { plugin, mode, path, ...(mount !== undefined && { mount }), unknown: [] };
  const mustBeMount = isBlock ? row.deviceMustBeMount : row.mustBeMount;
  const notMounted = mustBeMount && mount === undefined;
  if (way === 'csi') {
    const csi = csiVolume(known, place);
    if ('reason' in csi) {
      return { ...about, unknown: [csi.reason], measure: none('METRICS_NOT_FOUND', csi.reason, path) };
    }
    const { driver, volumeHandle } = csi;
    const stagingPath = stagingOf(entry, driver, volumeHandle, place.root);
    return {
      ...about,
      ...csi,
      ...(stagingPath !== undefined && { stagingPath }),
      measure: notMounted ? notMountedOn(path) : { way, path, driver, volumeHandle, stagingPath },
    };
  }
  if (way === 'none') {
    return { ...about, measure: none('METRICS_NOT_SUPPORTED', noMetrics(plugin, mode), path) };
  }
  // Providers of filesystems look themselves, each time.
  if (way === 'block' && notMounted) return { ...about, measure: notMountedOn(path) };
  return { ...about, measure: { way, path, requireMount: row.mustBeMount } };
}

export function none(code: (Measure & { way: 'none' })['code'], reason: string, path?: string): Measure {
  return { way: 'none', code, reason, path };
}

function notMountedOn(path: string): Measure {
  return none('METRICS_NOT_MOUNTED', `nothing is mounted on ${escapeControls(path)}`, path);
}

function noMetrics(plugin: string, mode: string): string {
  const what = mode === 'Block' ? 'block volumes' : 'volumes';
  return `metrics are not supported for ${escapeControls(plugin)} ${what}, as in the kubelet`;
}

/**
 * Where a block volume's device is. Those below the kubelet's own folders can also be reached where the host's
 * /dev cannot.
 */
function devicePath({ plugin, name, path }: FolderVolume, { root, uid }: PodPlace): string {
  if (plugin === CSI) return `${root}/plugins/kubernetes.io/csi/volumeDevices/${name}/dev/${uid}`;
  if (plugin === 'kubernetes.io/local-volume') {
    return `${root}/plugins/kubernetes.io~local-volume/volumeDevices/${name}/${uid}`;
  }
  return path;
}

/** The driver and the handle: what the kubelet noted, or else what the PersistentVolume or the pod says. */
function csiVolume(
  { entry, volume, claim }: KnownEntry,
  { uid }: PodPlace,
): { readonly driver: string; readonly volumeHandle: string } | { readonly reason: string } {
  const { volData } = entry;
  const noted = typeof volData === 'object' ? volData : {};
  let driver = noted.driverName;
  let volumeHandle = noted.volumeHandle;
  if (driver === undefined || volumeHandle === undefined) {
    const source = claim?.volume?.csi;
    const inline = volume?.kind === 'csi' ? volume.csi : undefined;
    if (source !== undefined) ({ driver, volumeHandle } = source);
    else if (inline !== undefined) {
      driver = inline.driver;
      // kubernetes pkg/volume/csi/csi_mounter.go, makeVolumeHandle.
      volumeHandle = `csi-${sha256(`${uid}${entry.name}`)}`;
    }
  }
  if (driver === undefined || volumeHandle === undefined) {
    const why = typeof volData === 'string' ? volData : 'vol_data.json lacks driverName or volumeHandle';
    return { reason: `the CSI driver and its id of the volume are not known: ${why}` };
  }
  if (!isDriverName(driver)) {
    return { reason: `the CSI driver is not known: ${escapeControls(driver.slice(0, 80))} is no driver's name` };
  }
  return { driver, volumeHandle };
}

/** Where the driver staged the volume: where the kubelet made a folder for that, in its present place or the old. */
function stagingOf(entry: FolderVolume, driver: string, handle: string, root: string): string | undefined {
  const csi = `${root}/plugins/kubernetes.io/csi`;
  if (entry.mode === 'Block') {
    return isThere(`${csi}/volumeDevices/${entry.name}`) ? `${csi}/volumeDevices/staging/${entry.name}` : undefined;
  }
  const place = `${csi}/${driver}/${sha256(handle)}`;
  if (isThere(place)) return `${place}/globalmount`;
  const oldPlace = `${csi}/pv/${entry.name}`;
  return isThere(oldPlace) ? `${oldPlace}/globalmount` : undefined;
}

/** Whether a folder of the kubelet's own is there. The volume itself is below it. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
