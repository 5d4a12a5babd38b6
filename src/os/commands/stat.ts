import { MetricsError } from '../../errors.js';
import { Deadline } from '../../waiting/deadline.js';
import { deviceNumber, kindOf } from '../devices.js';
import { mountOf, type Mount } from '../mounts.js';
import type { PathInfo, StatFs } from '../os-binding.js';
import { withoutSlash } from '../volume-call.js';
import { askOf, type Children } from './children.js';
import { dfArgs, parseDf, unitOf, type DfLine } from './df.js';
import type { Tools } from './tools.js';

/** What `stat -L` prints about a path. */
export interface Stat extends PathInfo {
  /** Units of 512 bytes that are allocated to it. */
  readonly blocks: bigint;
}

export function statArgs(path: string): string[] {
  return ['-L', '-c', '%f %t %T %s %d %i %b', '--', path];
}

/** The answer to {@link statArgs} in either dialect; undefined if the text has another form. */
export function parseStat(text: string): Stat | undefined {
  const words = /^([\da-f]+) ([\da-f]+) ([\da-f]+) (-?\d+) (-?\d+) (-?\d+) (-?\d+)\n$/.exec(text)?.slice(1);
  if (words === undefined) return undefined;
  const [mode, major, minor] = words.slice(0, 3).map((digits) => BigInt(`0x${digits}`)) as Triple;
  const [size, device, inode, blocks] = words.slice(3).map(unsigned) as [...Triple, bigint];
  return {
    kind: kindOf(mode),
    size,
    device,
    inode,
    rdev: deviceNumber(major, minor),
    blocks,
  };
}

/**
 * What GNU's find knows of {@link Stat}: a line of its own, and for a device one as of `ls -l`, which alone
 * has the device's number.
 */
export function foundArgs(path: string): string[] {
  const devices = ['(', '-type', 'b', '-o', '-type', 'c', ')', '-ls'];
  return ['-L', path, '-maxdepth', '0', '-printf', '%y %s %D %i %b\\n', ...devices];
}

const FOUND_KINDS: Readonly<Record<string, PathInfo['kind']>> = {
  b: 'block',
  c: 'other',
  d: 'directory',
  f: 'file',
  p: 'other',
  s: 'other',
};

/** Mode, links, owner and group, then major and minor. */
const LISTED_DEVICE = /^ *\d+ +\S+ +[bc]\S+ .*? (\d+), *(\d+) .*\n$/s;

/** The answer to {@link foundArgs}; undefined if the text has another form. */
export function parseFound(text: string): Stat | undefined {
  const [, type = '', ...words] = /^(\w) (\d+) (\d+) (\d+) (\d+)\n/.exec(text) ?? [];
  const kind = FOUND_KINDS[type];
  if (kind === undefined) return undefined;
  const isDevice = type === 'b' || type === 'c';
  const listed = text.slice(text.indexOf('\n') + 1);
  const [, major, minor] = LISTED_DEVICE.exec(listed) ?? [];
  if (isDevice ? minor === undefined : listed !== '') return undefined;
  const rdev = isDevice ? deviceNumber(BigInt(major ?? 0), BigInt(minor ?? 0)) : 0n;
  const [size, device, inode, blocks] = words.map(BigInt) as [...Triple, bigint];
  return { kind, size, device, inode, rdev, blocks };
}

export function statFsArgs(path: string): string[] {
  return ['-f', '-c', '%t %b %f %a %c %d %S', '--', path];
}

/** The numbers of `stat -f`. */
export interface FsCounts extends Omit<StatFs, 'frsize' | 'readOnly'> {
  /** Bytes: f_frsize from GNU, f_bsize from BusyBox (1.35). The counts are in units of f_frsize with both. */
  readonly unit: bigint;
}

/** The answer to {@link statFsArgs} in either dialect; undefined if the text has another form. */
export function parseStatFs(text: string): FsCounts | undefined {
  const words = /^([\da-f]+) (-?\d+) (-?\d+) (-?\d+) (-?\d+) (-?\d+) (\d+)\n$/.exec(text)?.slice(1);
  if (words === undefined) return undefined;
  const [blocks, bfree, bavail, files, ffree, unit] = words.slice(1).map(unsigned) as [...Triple, ...Triple];
  return {
    // A long in some kernels, with the sign spread over it; the numbers of linux/magic.h have 32 bits.
    magic: Number(BigInt.asUintN(32, BigInt(`0x${String(words[0])}`))),
    blocks,
    bfree,
    bavail,
    files,
    ffree,
    unit,
  };
}

type Triple = [bigint, bigint, bigint];

/** GNU's stat prints some of the kernel's unsigned counts with a sign. */
function unsigned(digits: string): bigint {
  return BigInt.asUintN(64, BigInt(digits));
}

/**
 * How long a killed command may take to be gone, and how long the numbers of `stat -f` wait for what
 * completes them. The latter may hang although statfs(2) does not: a real path is found with lstat(2), and
 * BusyBox's df asks every mount that the kernel lists before the one in question.
 */
const GRACE_MS = 1_000;

/**
 * Filesystems that leave f_frsize the same as f_bsize, by f_type: ext4, xfs, btrfs, tmpfs, ramfs, f2fs and
 * nfs. They do not need BusyBox's df.
 */
const ONE_UNIT: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x1021994, 0x858458f6, 0xf2f52010, 0x6969,
]);

/** What {@link statFsCall} needs of the binding. */
export interface StatFsNeeds {
  readonly tools: Tools;
  readonly late: Pick<LateCommands, 'blocks' | 'killed'>;
  /** The visible mounts; their names have one character for each byte. */
  visibleMounts(): readonly Mount[];
  /** Where the path leads, one character for each byte. */
  realPath(path: string, visible: readonly Mount[], children: Children): Promise<string>;
}

/**
 * statvfs(3) by commands. The numbers are those of `stat -f`. df gives their unit if stat does not (BusyBox),
 * and mountinfo says whether the mount is read-only. GNU's df is not needed: it only adds the mount point, in
 * which it prints `?` for control characters, and for a device node it describes another filesystem than
 * statvfs(3) does.
 */
export async function statFsCall(path: string, children: Children, needs: StatFsNeeds): Promise<StatFs> {
  const { tools, late } = needs;
  const unfinished = new Set<string>();
  /**
   * Completes the answer. The answer does without it if it fails, takes too long, or hangs since an earlier
   * call.
   */
  const complete = async (name: string, ask: () => Promise<void>): Promise<void> => {
    if (late.blocks(name)) return;
    unfinished.add(name);
    await ask().catch(() => undefined);
    unfinished.delete(name);
  };

  const visible = mountsIfKnown(needs);
  let mount: Mount | undefined;
  const findMount = complete(`mount of ${withoutSlash(path)}`, async () => {
    mount = mountOf(await needs.realPath(path, visible, children), visible);
  });
  try {
    const [stat, dialect] = await Promise.all([tools.file('stat'), tools.dialect('stat', path)]);
    const { unit, ...numbers } = await askOf(children, stat, statFsArgs(path), parseStatFs, 'statfs', path);

    const oneUnit = dialect === 'gnu' || numbers.blocks === 0n || ONE_UNIT.has(numbers.magic);
    let df: DfLine | undefined;
    const findUnit = oneUnit
      ? undefined
      : complete('df', async () => {
          df = await askOf(children, await tools.file('df'), dfArgs(path), parseDf, 'statfs', path);
        });
    await new Deadline(GRACE_MS).wait<unknown>(Promise.all([findMount, findUnit]), () => undefined);

    const size = sizeOfSame(df, mount, visible);
    const frsize = oneUnit ? unit : size === undefined ? undefined : unitOf(numbers.blocks, unit, size);
    if (frsize === undefined) throw unitUnknown(path);
    return { ...numbers, frsize, ...(mount !== undefined && { readOnly: mount.readOnly }) };
  } finally {
    if (unfinished.size > 0) late.killed([...unfinished], children.end());
  }
}

function mountsIfKnown(needs: StatFsNeeds): readonly Mount[] {
  try {
    return needs.visibleMounts();
  } catch {
    return [];
  }
}

/**
 * The size that df gives of the path's filesystem. For a device node, df describes the filesystem on that
 * device instead.
 */
function sizeOfSame(
  df: DfLine | undefined,
  mount: Mount | undefined,
  visible: readonly Mount[],
): bigint | undefined {
  const isSame = (other: Mount): boolean =>
    other.mountPoint === df?.mountPoint && other.device === mount?.device;
  return mount === undefined || visible.some(isSame) ? df?.size : undefined;
}

function unitUnknown(path: string): MetricsError {
  return new MetricsError(
    'METRICS_FS_INFO_FAILED',
    `the unit of the block counts of ${path} is not known: BusyBox's stat does not print it, and df gave no answer that fits`,
    { path },
  );
}

/** While more of them than this hang, nothing is started that could add to them. */
const MOST_LATE = 512;

/** Commands that were killed and still exist: what they hang on would hold another one too. */
export class LateCommands {
  readonly #names = new Set<string>();

  /** Whether a command of this name is late, or too many others are. */
  blocks(name: string): boolean {
    return this.#names.has(name) || this.#names.size >= MOST_LATE;
  }

  /** Commands of these names were killed. If they are not gone soon, they are late until they are. */
  killed(names: readonly string[], gone: Promise<void>): void {
    let isGone = false;
    void gone.then(() => {
      isGone = true;
      for (const name of names) this.#names.delete(name);
    });
    void new Deadline(GRACE_MS)
      .wait(gone, () => undefined)
      .then(() => {
        if (isGone) return;
        for (const name of names) this.#names.add(name);
      });
  }
}
