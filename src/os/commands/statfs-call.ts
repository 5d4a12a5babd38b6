import { MetricsError } from '../../errors.js';
import type { Mount } from '../mounts.js';
import type { StatFs } from '../statfs.js';
import { askOf } from './ask.js';
import { atMost } from './at-most.js';
import type { Children } from './children.js';
import { dfArgs, parseDf, unitOf, type DfLine } from './df.js';
import { mountOf, realPathOf, visibleMounts } from './mount-of.js';
import { parseStatFs, statFsArgs, type FsCounts } from './stat.js';
import type { CommandState } from './state.js';
import type { Tools } from './tools.js';

/**
 * How long an answer of `stat -f` waits for the commands that complete it. Those may hang where statfs(2) does not: the real path is
 * found with lstat(2), and BusyBox's df asks every mount that the kernel lists before the one in question.
 */
const GRACE_MS = 1_000;

/**
 * Filesystems whose own code in the kernel leaves f_frsize to be the same as f_bsize, by f_type: ext4, xfs, btrfs, tmpfs, ramfs,
 * f2fs and nfs.
 */
const ONE_UNIT: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x1021994, 0x858458f6, 0xf2f52010, 0x6969,
]);

/**
 * statvfs(3) by commands. The numbers are those of `stat -f`; df is asked for the unit where stat does not tell it, and mountinfo for
 * read-only. GNU's df is not needed: it could add only the mount point, which it prints with `?` for control characters, and not for
 * a device node.
 *
 * @param late - what did not end when it was killed, in the whole process
 */
export async function statFsCall(
  path: string,
  tools: Tools,
  children: Children,
  late: CommandState['late'],
): Promise<StatFs> {
  const [stat, dialect] = await Promise.all([tools.file('stat'), tools.dialect('stat')]);
  const unfinished = new Set<string>();
  /** Asks for what adds to the answer, which goes without it when that fails, is late, or was late before and still runs. */
  const beside = async (name: string, ask: () => Promise<void>): Promise<void> => {
    if (late.blocks(name)) return;
    unfinished.add(name);
    await ask().catch(() => undefined);
    unfinished.delete(name);
  };
  const found: { mount?: Mount | undefined; df?: DfLine | undefined } = {};
  const visible = visibleMounts().catch(() => []);
  const completing = Promise.all([
    beside(`mount of ${path}`, async () => {
      const mounts = await visible;
      found.mount = mountOf(await realPathOf(path, mounts, tools, children), mounts);
    }),
    dialect === 'busybox' &&
      beside('df', async () => {
        const df = await tools.file('df');
        found.df = await askOf(children, df, dfArgs(path), parseDf, 'statfs', path);
      }),
  ]);
  let counts: FsCounts;
  try {
    counts = await askOf(children, stat, statFsArgs(path), parseStatFs, 'statfs', path);
    await atMost(GRACE_MS, completing, false);
  } finally {
    if (unfinished.size > 0) late.killed([...unfinished], children.end());
  }
  const { mount, df } = found;
  const frsize = dialect === 'gnu' ? counts.unit : unit(counts, ofSameDevice(df, mount, await visible));
  if (frsize === undefined) {
    throw new MetricsError(
      'METRICS_FS_INFO_FAILED',
      `the unit of the block counts of ${path} is not known: BusyBox's stat does not tell it, and df gave no answer that fits`,
      { path },
    );
  }
  const { magic, blocks, bfree, bavail, files, ffree } = counts;
  return {
    magic,
    frsize,
    blocks,
    bfree,
    bavail,
    files,
    ffree,
    ...(mount !== undefined && { readOnly: mount.readOnly }),
  };
}

function unit(counts: FsCounts, df: DfLine | undefined): bigint | undefined {
  if (df !== undefined) return unitOf(counts, df.size);
  return counts.blocks === 0n || ONE_UNIT.has(counts.magic) ? counts.unit : undefined;
}

/** df of a device node tells of the filesystem on that device; stat of the one that holds the node. */
function ofSameDevice(
  df: DfLine | undefined,
  mount: Mount | undefined,
  visible: readonly Mount[],
): DfLine | undefined {
  const devices = visible
    .filter(({ mountPoint }) => mountPoint === df?.mountPoint)
    .map(({ device }) => device);
  return mount === undefined || devices.includes(mount.device) ? df : undefined;
}
