import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { escapeControls } from '../escape.js';
import type { Measure } from './described-volume.js';
import type { MountTable } from './disk/mount-table.js';
import { CSI, type FolderVolume } from './disk/pod-folder.js';
import { isDriverName } from './drivers/registration.js';
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

/** How a volume that is on disk is to be measured. This runs for each volume in each round. */
export function measureOf(
  entry: FolderVolume,
  volume: NodeVolume | undefined,
  claim: Claim | undefined,
  place: PodPlace,
): Measure {
  const { plugin, mode } = entry;
  const row = measuredBy(plugin, volume?.medium);
  const way = mode === 'Block' ? row.block : row.filesystem;
  const path = pathOf(entry, place);
  if (way === 'none') return none('METRICS_NOT_SUPPORTED', noMetrics(plugin, mode), path);
  // Providers of filesystems look themselves, each time.
  if (way !== 'csi' && way !== 'block') return { way, path, requireMount: row.mustBeMount };
  const mustBeMount = mode === 'Block' ? row.deviceMustBeMount : row.mustBeMount;
  const isMissing = mustBeMount && place.mounts.at(path) === undefined;
  if (way === 'csi') {
    const csi = csiVolume(entry, volume, claim, place);
    if ('reason' in csi) return none('METRICS_NOT_FOUND', csi.reason, path);
    if (!isMissing) {
      return { way, path, driver: csi.driver, volumeHandle: csi.volumeHandle, entry };
    }
  }
  if (isMissing) return none('METRICS_NOT_MOUNTED', `nothing is mounted on ${escapeControls(path)}`, path);
  return { way: 'block', path, requireMount: mustBeMount };
}

/** Whether {@link measureOf} would say the same with other mounts. */
export function isSameWith(measure: Measure, mounts: MountTable): boolean {
  switch (measure.way) {
    case 'csi':
      return mounts.at(measure.path) !== undefined;
    case 'block':
      return !measure.requireMount || mounts.at(measure.path) !== undefined;
    case 'none':
      return measure.code !== 'METRICS_NOT_MOUNTED' || mounts.at(measure.path ?? '') === undefined;
    default:
      return true;
  }
}

/** What is measured of a volume, or named to its driver. */
export function pathOf(entry: FolderVolume, place: PodPlace): string {
  if (entry.mode === 'Block') return devicePath(entry, place);
  return entry.plugin === CSI ? `${entry.path}/mount` : entry.path;
}

export function none(code: (Measure & { way: 'none' })['code'], reason: string, path?: string): Measure {
  return { way: 'none', code, reason, path };
}

function noMetrics(plugin: string, mode: string): string {
  const what = mode === 'Block' ? 'block volumes' : 'volumes';
  return `metrics are not supported for ${escapeControls(plugin)} ${what}, as in the kubelet`;
}

/**
 * Where a block volume's device is. Those below the kubelet's own folders can also be reached where the
 * host's /dev cannot.
 */
function devicePath({ plugin, name, path }: FolderVolume, { root, uid }: PodPlace): string {
  if (plugin === CSI) return `${root}/plugins/kubernetes.io/csi/volumeDevices/${name}/dev/${uid}`;
  if (plugin === 'kubernetes.io/local-volume') {
    return `${root}/plugins/kubernetes.io~local-volume/volumeDevices/${name}/${uid}`;
  }
  return path;
}

/** The driver and the handle: what the kubelet noted, or else what the PersistentVolume or the pod says. */
export function csiVolume(
  entry: FolderVolume,
  volume: NodeVolume | undefined,
  claim: Claim | undefined,
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
    return {
      reason: `the CSI driver is not known: ${escapeControls(driver.slice(0, 80))} is no driver's name`,
    };
  }
  return { driver, volumeHandle };
}

/**
 * Where the driver staged the volume: where the kubelet made a folder for that, in its present place or the
 * old.
 */
export function stagingOf(
  entry: FolderVolume,
  driver: string,
  handle: string,
  root: string,
): string | undefined {
  const csi = `${root}/plugins/kubernetes.io/csi`;
  if (entry.mode === 'Block') {
    return isThere(`${csi}/volumeDevices/${entry.name}`)
      ? `${csi}/volumeDevices/staging/${entry.name}`
      : undefined;
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
