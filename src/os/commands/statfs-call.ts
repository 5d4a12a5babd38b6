import { MetricsError } from '../../errors.js';
import type { Mount } from '../mounts.js';
import type { StatFs } from '../statfs.js';
import { withoutSlash } from '../volume-path.js';
import { askOf } from './ask.js';
import { atMost } from './at-most.js';
import type { Children } from './children.js';
import { dfArgs, parseDf, unitOf, type DfLine } from './df.js';
import { mountOf, realPathOf, visibleMounts } from './mount-of.js';
import { parseStatFs, statFsArgs } from './stat.js';
import type { CommandState } from './state.js';
import type { Tools } from './tools.js';

/**
 * How long the numbers of `stat -f` wait for what completes them. That may hang where statfs(2) does not: a
 * real path is found with lstat(2), and BusyBox's df asks every mount that the kernel lists before the one in
 * question.
 */
const GRACE_MS = 1_000;

/**
 * Filesystems whose code in the kernel leaves f_frsize to be the same as f_bsize, by f_type: ext4, xfs, btrfs,
 * tmpfs, ramfs, f2fs and nfs. BusyBox's df, with its habit, is not needed for them.
 */
const ONE_UNIT: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x1021994, 0x858458f6, 0xf2f52010, 0x6969,
]);

/**
 * statvfs(3) by commands. The numbers are those of `stat -f`; df is asked for their unit where stat does not
 * tell it (BusyBox), and mountinfo whether the mount is read-only. GNU's df is not needed: of all this it knows
 * only the mount point, which it prints with `?` for control characters, and for a device node it speaks of
 * another filesystem than statvfs(3).
 */
export async function statFsCall(
  path: string,
  tools: Tools,
  children: Children,
  late: CommandState['late'],
): Promise<StatFs> {
  const unfinished = new Set<string>();
  /**
   * Asks for what completes the answer, which goes without it when that fails, is late, or was late before and
   * still runs.
   */
  const complete = async (name: string, ask: () => Promise<void>): Promise<void> => {
    if (late.blocks(name)) return;
    unfinished.add(name);
    await ask().catch(() => undefined);
    unfinished.delete(name);
  };

  const visible = visibleMounts().catch(() => []);
  let mount: Mount | undefined;
  const findMount = complete(`mount of ${withoutSlash(path)}`, async () => {
    mount = mountOf(await realPathOf(path, await visible, tools, children), await visible);
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
    await atMost(GRACE_MS, Promise.all([findMount, findUnit]), false);

    const size = sizeOfSame(df, mount, await visible);
    const frsize = oneUnit ? unit : size === undefined ? undefined : unitOf(numbers.blocks, unit, size);
    if (frsize === undefined) throw unitUnknown(path);
    return { ...numbers, frsize, ...(mount !== undefined && { readOnly: mount.readOnly }) };
  } finally {
    if (unfinished.size > 0) late.killed([...unfinished], children.end());
  }
}

/** What df says of the path's filesystem. Asked for a device node, it speaks of what is on that device. */
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
    `the unit of the block counts of ${path} is not known: BusyBox's stat does not tell it, and df gave no answer that fits`,
    { path },
  );
}
