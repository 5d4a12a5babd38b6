import {
  MetricsBlock,
  MetricsDu,
  mounts,
  MetricsStatFs,
  type Binding,
  type DiskUsage,
  type MetricsProvider,
  type Mount,
} from '../index.js';
import { realMounts } from './real-mounts.js';

/** One volume to be measured. */
export interface Volume {
  readonly path: string;
  readonly provider: MetricsProvider;
  /** Where it comes from the list of mounts. */
  readonly mount?: Mount;
}

/** What the command line says beside the command and its operands. */
export interface Settings {
  readonly json: boolean;
  readonly bytes: boolean;
  readonly all: boolean;
  readonly timeoutMs: number | undefined;
  readonly binding: Binding | undefined;
  readonly requireMount: boolean;
  readonly allowPartial: boolean;
  readonly threads: number | undefined;
}

/** Told how far the walk of one volume is, by its place among the operands. */
export type OnProgress = (index: number, sofar: DiskUsage) => void;

/** The options that there are; each command has some of them. */
export type OptionName =
  'all' | 'allow-partial' | 'binding' | 'bytes' | 'help' | 'json' | 'require-mount' | 'threads' | 'timeout';

/** One command: what it is for, and which volumes it measures. */
export interface Command {
  readonly name: string;
  /** What its operands are; undefined when it takes none. */
  readonly operand?: string;
  readonly summary: string;
  readonly description: string;
  readonly options: readonly OptionName[];
  readonly example: string;
  /** @throws TypeError when a setting is out of its range */
  volumes(
    operands: readonly string[],
    settings: Settings,
    onProgress: OnProgress,
  ): Promise<Volume[]> | Volume[];
}

const COMMON = ['json', 'bytes', 'timeout', 'binding', 'help'] as const;

export const COMMANDS: readonly Command[] = [
  {
    name: 'statfs',
    operand: 'PATH',
    summary: 'size and use of the filesystem that holds each PATH',
    description:
      'Asks the filesystem that holds each PATH for its size, use and inodes, with one system call.\n' +
      'USE% is as in df(1): the used part of what an unprivileged user could have.',
    options: ['require-mount', ...COMMON],
    example: 'statfs --require-mount /mnt/data',
    volumes: (paths, { timeoutMs, binding, requireMount }) =>
      paths.map((path) => ({
        path,
        provider: new MetricsStatFs(path, { timeoutMs, binding, requireMount }),
      })),
  },
  {
    name: 'du',
    operand: 'PATH',
    summary: 'what the tree at each PATH uses',
    description:
      'Walks each PATH and counts its blocks and inodes; the rest is of the filesystem that holds it. Symlinks below it\n' +
      'are not followed, other mounts are left out, a hard link counts once. USE% is the part of the capacity.\n' +
      'The walk may take any time as long as it gets on; --timeout is for the look at the filesystem before it.',
    options: ['allow-partial', 'threads', ...COMMON],
    example: 'du /var/log /home',
    volumes: (paths, { timeoutMs, binding, allowPartial, threads }, onProgress) =>
      paths.map((path, index) => ({
        path,
        provider: new MetricsDu(path, {
          timeoutMs,
          binding,
          allowPartial,
          threads,
          onProgress: (sofar) => {
            onProgress(index, sofar);
          },
        }),
      })),
  },
  {
    name: 'block',
    operand: 'DEVICE',
    summary: 'capacity of each block device or image file',
    description: 'Says how large each DEVICE is: a block device, or a regular file. It is not opened.',
    options: COMMON,
    example: 'block /dev/sda1 disk.img',
    volumes: (devices, { timeoutMs, binding }) =>
      devices.map((path) => ({ path, provider: new MetricsBlock(path, { timeoutMs, binding }) })),
  },
  {
    name: 'mounts',
    summary: 'every real mount of this machine',
    description:
      'Measures every mount as statfs does, all at once: one that does not answer is a row with its state and delays no\n' +
      'other. Left out are filesystems that hold no files of anybody, such as proc and cgroup2 (see --all; it may make\n' +
      'the kernel mount what autofs stands for), and mounts that another one hides.',
    options: ['all', ...COMMON],
    example: 'mounts --timeout 2s',
    volumes: async (_, { all, timeoutMs, binding }) =>
      realMounts(await mounts(), all).map((mount) => ({
        path: mount.mountPoint,
        // A mount that goes away meanwhile must not read as what lies beneath.
        provider: new MetricsStatFs(mount.mountPoint, { timeoutMs, binding, requireMount: true }),
        mount,
      })),
  },
];
