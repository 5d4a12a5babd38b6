import { InvalidArgumentError, Option } from 'commander';
import { resolve } from 'node:path';
import {
  MetricsBlock,
  MetricsError,
  mounts,
  MetricsStatFs,
  pathInfo,
  type Limits,
  type MetricsProvider,
  type Mount,
  type PathInfo,
} from '../../index.js';
import { measureOptions, textOption, type CliCommand, type MeasureOptions } from '../command.js';
import { volumesAnswer } from '../output/volumes.js';

/** Which mounts to list. */
export interface Selection {
  readonly all?: true;
  /** Names of filesystem types, or `block`. */
  readonly type?: readonly string[];
  readonly path?: string;
  /** The kubelet's root; true for any kubelet. */
  readonly kubelet?: string | true;
}

export const MOUNTS: CliCommand<MeasureOptions & Selection> = {
  name: 'mounts',
  summary: 'every mount of this machine, or some of them',
  description:
    'Measures every mount as statfs does, all at once. A mount that does not answer is listed with its state and does not ' +
    "delay the others. A block device that is mounted as a file, as the kubelet's raw block volumes are, is listed with " +
    "the device's size. Filesystems that only show or control the kernel, such as proc and cgroup2, are left out, and so " +
    'are mounts hidden by a later one.\n\n' +
    '--type, --path and --kubelet select mounts; a mount must match all that are given. If none does, the answer says so ' +
    'and the exit code is 0.',
  options: [
    new Option(
      '--type <TYPES>',
      'only these filesystem types, such as ext4,nfs4; fuse means every fuse.*, and block means block devices',
    ).argParser(parseTypes),
    textOption('--path <PREFIX>', 'only mounts at PREFIX and below it; symlinks are not followed'),
    textOption(
      '--kubelet [ROOT]',
      'only the volumes of pods, raw block volumes included; with ROOT, such as /var/lib/kubelet, only those of the kubelet with this root directory',
    ),
    new Option(
      '--all',
      'also filesystems that only show or control the kernel; asking an autofs may make the kernel mount its target',
    ),
    ...measureOptions(),
  ],
  incomplete: 'some mount gave no numbers; its STATE and the reason say why',
  examples: ['--timeout 2s', '--kubelet --type ext4,xfs'],
  run: async (_, options, signal) => {
    const limits = { timeoutMs: options.timeout, binding: options.binding };
    const selection = { ...options, ...absolutePaths(options) };
    const all = await mounts();
    const volumes = selectMounts(all, selection).map((mount) => ({
      path: mount.mountPoint,
      provider: providerOf(mount, limits, options, signal),
      mount,
    }));
    return volumesAnswer('mounts', volumes, options, signal, noMount(all, selection));
  },
};

/** The types of one `--type` after those of the ones before it. */
function parseTypes(text: string, before: readonly string[] = []): readonly string[] {
  const types = text.split(',').map((each) => each.trim());
  if (!types.includes('')) return [...before, ...types];
  throw new InvalidArgumentError('Expected names separated by commas, such as ext4,nfs4.');
}

/** The paths of a selection, from the current directory. */
function absolutePaths({ path, kubelet }: Selection): Pick<Selection, 'path' | 'kubelet'> {
  return {
    ...(path !== undefined && { path: absolute(path) }),
    ...(kubelet !== undefined && { kubelet: kubelet === true ? true : absolute(kubelet) }),
  };
}

/** @throws Error if the path is relative and there is no current directory */
function absolute(path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    const why = 'the current directory no longer exists';
    throw new Error(`the relative path '${path}' cannot be resolved: ${why}`, { cause: error });
  }
}

/** What to say if no mount is selected. */
function noMount(all: readonly Mount[], { type, path, kubelet }: Selection): string {
  const filters = [
    ...(type === undefined ? [] : [`--type ${type.join(',')}`]),
    ...(path === undefined ? [] : [`--path ${path}`]),
    ...(kubelet === undefined ? [] : [`--kubelet${kubelet === true ? '' : ` ${kubelet}`}`]),
  ];
  const which =
    filters.length === 0 ? 'There is no mount to measure.' : `No mount matches ${filters.join(' ')}.`;
  if (type === undefined) return which;
  const types = [...new Set(all.filter(({ hidden }) => !hidden).map(({ fsType }) => fsType))].sort();
  return `${which} The types on this machine are ${types.join(', ')}.`;
}

/**
 * Filesystems that only show or steer the kernel: no user keeps files there, and their sizes mean nothing.
 * tmpfs, devtmpfs and hugetlbfs are not among them, because they use memory. autofs is, because asking for
 * its size makes the kernel mount what it stands for.
 */
const KERNEL_ONLY: ReadonlySet<string> = new Set([
  ...[
    'autofs',
    'binder',
    'binfmt_misc',
    'bpf',
    'cgroup',
    'cgroup2',
    'configfs',
    'cpuset',
    'debugfs',
    'devpts',
  ],
  ...[
    'efivarfs',
    'fusectl',
    'mqueue',
    'nfsd',
    'nsfs',
    'proc',
    'pstore',
    'resctrl',
    'rpc_pipefs',
    'securityfs',
  ],
  ...['selinuxfs', 'smackfs', 'sysfs', 'tracefs'],
]);

/** Volumes of pods, and what the kubelet maps raw block volumes to, below its root. */
const KUBELET_VOLUME =
  /\/(pods\/[^/]+\/(volumes|volume-subpaths|volumeDevices)|plugins\/(kubernetes\.io\/)?[^/]+\/volumeDevices)\//;

/** The mounts that a path leads to and that match all filters. */
export function selectMounts(all: readonly Mount[], selection: Selection): Mount[] {
  const { type, path, kubelet } = selection;
  const prefix = path === undefined ? '/' : resolve(path);
  return all.filter((mount) => {
    if (mount.hidden || !isBelow(mount.mountPoint, prefix)) return false;
    if (type === undefined) {
      if (selection.all !== true && KERNEL_ONLY.has(mount.fsType)) return false;
    } else if (!type.some((each) => isOfType(mount, each))) {
      return false;
    }
    return kubelet === undefined || isOfKubelet(mount.mountPoint, kubelet);
  });
}

function isBelow(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}

function isOfType(mount: Mount, type: string): boolean {
  if (type === 'block') return mayBeDevice(mount);
  return mount.fsType === type || mount.fsType.startsWith(`${type}.`);
}

function isOfKubelet(path: string, kubelet: string | true): boolean {
  if (kubelet === true) return KUBELET_VOLUME.test(path);
  const root = resolve(kubelet);
  return isBelow(path, root) && KUBELET_VOLUME.exec(path.slice(root === '/' ? 0 : root.length))?.index === 0;
}

/**
 * Whether it may be a file of a device and not a directory: then it is only a part of a filesystem that has
 * device files.
 */
function mayBeDevice({ root, fsType, mountPoint }: Mount): boolean {
  return root !== '/' && (/^(devtmpfs|tmpfs)$/.test(fsType) || mountPoint.includes('/volumeDevices/'));
}

/**
 * What measures a mount; undefined if it is a character device, which holds nothing, or a filesystem where
 * devices are wanted.
 */
async function providerOf(
  mount: Mount,
  limits: Limits,
  { all, type }: Selection,
  signal: AbortSignal,
): Promise<MetricsProvider | undefined> {
  // A mount that goes away now must not read as what lies beneath it.
  const filesystem = new MetricsStatFs(mount.mountPoint, { ...limits, requireMount: true });
  if (!mayBeDevice(mount)) return filesystem;
  const kind = await kindOf(mount.mountPoint, { ...limits, signal });
  if (kind === undefined) return filesystem;
  if (kind === 'block') return new MetricsMountedDevice(mount.mountPoint, limits);
  const isWanted = type === undefined || type.some((each) => each !== 'block' && isOfType(mount, each));
  return isWanted && (kind !== 'other' || all === true) ? filesystem : undefined;
}

/** Undefined if it cannot be found out: measuring it then says why. */
async function kindOf(path: string, limits: Limits): Promise<PathInfo['kind'] | undefined> {
  try {
    return (await pathInfo(path, limits)).kind;
  } catch {
    return undefined;
  }
}

/** A block device that is mounted as a file. Without the mount, the file reads as an image of 0 bytes. */
class MetricsMountedDevice implements MetricsProvider {
  readonly name = 'block';
  readonly #path: string;
  readonly #limits: Limits;

  constructor(path: string, limits: Limits) {
    this.#path = path;
    this.#limits = limits;
  }

  async getMetrics(
    options: Parameters<MetricsProvider['getMetrics']>[0] = {},
  ): ReturnType<MetricsProvider['getMetrics']> {
    const metrics = await new MetricsBlock(this.#path, this.#limits).getMetrics(options);
    const { kind } = await pathInfo(this.#path, { ...this.#limits, ...options });
    if (kind === 'block') return metrics;
    throw new MetricsError('METRICS_NOT_MOUNTED', `the device at ${this.#path} is no longer mounted`, {
      path: this.#path,
    });
  }
}
