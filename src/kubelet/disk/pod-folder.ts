import { readdirSync } from 'node:fs';
import { errorText, propertyOf } from '../../errors.js';
import { escapeControls } from '../../escape.js';
import type { VolumeMode } from '../sources.js';
import type { MountTable } from './mount-table.js';
import { parseVolData, readVolData, type VolData, type VolDataText } from './vol-data.js';

/** One volume as the kubelet has laid it out on disk. */
export interface FolderVolume {
  /** The plugin's name, such as `kubernetes.io/csi`. */
  readonly plugin: string;
  /** The pod's name of an inline volume; otherwise the PersistentVolume's. Any name that a file may have. */
  readonly name: string;
  readonly mode: VolumeMode;
  /** Its entry below `volumes` or `volumeDevices`. */
  readonly path: string;
  /** Of a CSI volume: what the kubelet noted about it, or why that is not known. */
  readonly volData?: VolData | string;
}

/** The folder of one pod. */
export interface PodFolder {
  readonly path: string;
  readonly volumes: readonly FolderVolume[];
  /** Whether the kubelet made an `/etc/hosts` for the pod's containers. */
  readonly hasEtcHosts: boolean;
  /** What could not be read, for people. */
  readonly problems: readonly string[];
  /** All that was read, so that an unchanged folder is found unchanged. */
  readonly key: string;
}

/** What is in a plugin's folder. */
interface PluginFolder {
  readonly path: string;
  readonly plugin: string;
  readonly mode: VolumeMode;
  readonly names: readonly string[];
  /** Of CSI volumes: the kubelet's notes about each. */
  readonly notes: readonly VolDataText[];
}

export const CSI = 'kubernetes.io/csi';

/** A plugin's name as that of a folder, and back: k8s.io/utils/strings EscapeQualifiedName. */
export function escapedPlugin(plugin: string): string {
  return plugin.replaceAll('/', '~');
}
export function unescapedPlugin(folder: string): string {
  return folder.replaceAll('~', '/');
}

/**
 * Names in a folder of the kubelet's. No entry is looked at: a stat of a dead mount would never come back.
 *
 * @param problems - gets a text if the folder is there but cannot be read
 */
export function namesIn(path: string, mounts: MountTable | undefined, problems: string[]): readonly string[] {
  if (mounts?.isOddlyMounted(path) === true) {
    problems.push(`${escapeControls(path)} is not read: something is mounted on it`);
    return [];
  }
  try {
    return readdirSync(path);
  } catch (error) {
    const code = propertyOf(error, 'code');
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      problems.push(`${escapeControls(path)} cannot be read: ${escapeControls(errorText(error))}`);
    }
    return [];
  }
}

/** The uids of the pods that have a folder. A symlink is not a pod's folder, as in the kubelet. */
export function podFolders(root: string): readonly string[] {
  // This names folders of the kubelet's own, so their type may be looked up if the dirent lacks it.
  const entries = readdirSync(`${root}/pods`, { withFileTypes: true });
  return entries.filter((each) => each.isDirectory()).map(({ name }) => name);
}

/**
 * What the disk says about a pod: names in the kubelet's own folders, and the kubelet's notes beside CSI
 * volumes. No volume is touched.
 *
 * @param uid - the pod's folder: one path component
 * @param before - the last answer, which is given again if nothing has changed
 */
export function readPodFolder(root: string, uid: string, mounts: MountTable, before?: PodFolder): PodFolder {
  const path = `${root}/pods/${uid}`;
  const problems: string[] = [];
  const plugins: PluginFolder[] = [];
  const inPod = namesIn(path, mounts, problems);
  if (inPod.includes('volumes')) addPlugins(`${path}/volumes`, root, 'Filesystem', mounts, plugins, problems);
  if (inPod.includes('volumeDevices')) {
    addPlugins(`${path}/volumeDevices`, root, 'Block', mounts, plugins, problems);
  }
  const hasEtcHosts = inPod.includes('etc-hosts');
  // A name has no slash.
  let key = `${path}/${String(hasEtcHosts)}${problems.join('/')}`;
  for (const { plugin, mode, names, notes } of plugins) {
    key += `//${mode}/${plugin}/${names.join('/')}`;
    for (const { text, problem } of notes) key += `//${text ?? ''}${problem ?? ''}`;
  }
  if (key === before?.key) return before;
  const volumes = plugins.flatMap(({ path: inPlugin, plugin, mode, names, notes }) =>
    names.map((name, index): FolderVolume => {
      const about = { plugin, name, mode, path: `${inPlugin}/${name}` };
      const note = notes[index];
      return note === undefined ? about : { ...about, volData: parseVolData(note) };
    }),
  );
  return { path, volumes, hasEtcHosts, problems, key };
}

function addPlugins(
  folder: string,
  root: string,
  mode: VolumeMode,
  mounts: MountTable,
  plugins: PluginFolder[],
  problems: string[],
): void {
  for (const escaped of namesIn(folder, mounts, problems)) {
    const plugin = unescapedPlugin(escaped);
    const path = `${folder}/${escaped}`;
    const names = namesIn(path, mounts, problems);
    const notes =
      plugin === CSI ? names.map((name) => csiNotes(root, `${path}/${name}`, name, mode, mounts)) : [];
    plugins.push({ path, plugin, mode, names, notes });
  }
}

function csiNotes(
  root: string,
  path: string,
  name: string,
  mode: VolumeMode,
  mounts: MountTable,
): VolDataText {
  const folder = mode === 'Block' ? `${root}/plugins/kubernetes.io/csi/volumeDevices/${name}/data` : path;
  // A driver that mounts at the wrong place would make this a file of the volume's.
  if (mounts.at(folder) !== undefined) {
    return { problem: 'vol_data.json is not read: something is mounted on the folder that it is in' };
  }
  return readVolData(`${folder}/vol_data.json`);
}

/** A container that uses part of a volume, by `subPath`. */
export interface SubPathUse {
  /** The name of the volume's folder: the PersistentVolume's, or an inline volume's own. */
  readonly volume: string;
  readonly container: string;
  /** The position in the container's `volumeMounts`. */
  readonly index: number;
}

/** What `volume-subpaths` says; each entry there is a mount and is only named. */
export function subPathUses(
  folder: PodFolder,
  mounts: MountTable,
  problems: string[],
): readonly SubPathUse[] {
  const top = `${folder.path}/volume-subpaths`;
  return namesIn(top, mounts, problems).flatMap((volume) =>
    namesIn(`${top}/${volume}`, mounts, problems).flatMap((container) =>
      namesIn(`${top}/${volume}/${container}`, mounts, problems).flatMap((index) =>
        /^\d{1,6}$/.test(index) ? [{ volume, container, index: Number(index) }] : [],
      ),
    ),
  );
}
