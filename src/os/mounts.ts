import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { MetricsError } from '../errors.js';

/** One mount of this process's mount namespace, as the kernel lists it. */
export interface Mount {
  /** Where it is mounted: an absolute path, unescaped. */
  readonly mountPoint: string;
  /** Which part of the filesystem is mounted there; not `/` for a bind mount. */
  readonly root: string;
  /** The filesystem's name with its subtype: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly fsType: string;
  /** What is mounted, in the filesystem's own terms: a device, `server:/export`, `tmpfs`. */
  readonly source: string;
  /** Options of this mount, then those of the filesystem beneath that are not among them. */
  readonly options: readonly string[];
  /** Whether the mount or the filesystem beneath is read-only. */
  readonly readOnly: boolean;
  /** The kernel's number for this mount; reused after it is gone. */
  readonly id: number;
  /** `major:minor` of files on it, as `stat` gives (but btrfs, where each subvolume has its own). */
  readonly device: string;
  /** Whether a later mount covers it, so that no path leads to it any more. */
  readonly hidden: boolean;
}

/** Read without touching any mount; a file of /proc answers from the kernel's memory. */
const MOUNTINFO = '/proc/self/mountinfo';

/**
 * Every mount of this process's mount namespace, in the kernel's order, those that another one hides among them. Touches
 * no mount.
 *
 * @returns the mounts
 * @throws MetricsError METRICS_NOT_SUPPORTED where there is no `/proc/self/mountinfo`, METRICS_FS_INFO_FAILED where it cannot be read now
 */
export async function mounts(): Promise<readonly Mount[]> {
  return Promise.resolve(parseMountinfo(readMountinfo('utf8')));
}

/**
 * The kernel's list of mounts. Read at once, because it comes from the kernel's memory: an asynchronous read would wait for a
 * thread of Node's pool, all of which may be stuck in somebody else's calls on a dead volume.
 *
 * @throws MetricsError METRICS_NOT_SUPPORTED where there is none, METRICS_FS_INFO_FAILED where it cannot be read now
 */
export function readMountinfo(encoding: 'utf8' | 'latin1'): string {
  try {
    return readFileSync(MOUNTINFO, encoding);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const code = isMissing ? 'METRICS_NOT_SUPPORTED' : 'METRICS_FS_INFO_FAILED';
    throw new MetricsError(code, `the mounts of this machine are not known: ${String(error)}`, {
      cause: error,
    });
  }
}

/** The mounts in a text of /proc/[pid]/mountinfo's format, proc_pid_mountinfo(5). Lines of another form are left out. */
export function parseMountinfo(text: string): readonly Mount[] {
  const all = text.split('\n').flatMap((line) => parseLine(line) ?? []);
  const byId = new Map(all.map((each) => [each.mount.id, each]));
  const pointsOn = new Map<number, Set<string>>();
  for (const { parent, mount } of all) {
    pointsOn.set(parent, (pointsOn.get(parent) ?? new Set()).add(mount.mountPoint));
  }
  return all.map((each) => ({ ...each.mount, hidden: isHidden(each, byId, pointsOn) }));
}

/** A mount and the id of the one it is mounted on, which need not be in the list (a chroot). */
interface Listed {
  readonly mount: Omit<Mount, 'hidden'>;
  readonly parent: number;
}

function parseLine(line: string): Listed | undefined {
  // 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
  // The optional fields before the lone "-" may be none or many.
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id, parent, device, root, mountPoint, mountOptions] = fields;
  const [fsType, source, superOptions] = fields.slice(dash + 1);
  if (dash === -1 || mountPoint === undefined || superOptions === undefined) return undefined;
  const options = [...new Set([...(mountOptions ?? '').split(','), ...superOptions.split(',')])];
  // "rw" of the one and "ro" of the other may both stand there; together that is read-only.
  const readOnly = options.includes('ro');
  return {
    mount: {
      mountPoint: unescape(mountPoint),
      root: unescape(root ?? ''),
      fsType: unescape(fsType ?? ''),
      source: unescape(source ?? ''),
      options: options.filter((option) => !(readOnly && option === 'rw')),
      readOnly,
      id: Number(id),
      device: device ?? '',
    },
    parent: Number(parent),
  };
}

/**
 * Whether another mount lies on the same mount point, or on a directory on the way to it. The order of the list does not
 * say so (a mount may stand before the one it is mounted on); the parents do.
 *
 * @param pointsOn - the mount points of what is mounted on each mount
 */
function isHidden(
  listed: Listed,
  byId: ReadonlyMap<number, Listed>,
  pointsOn: ReadonlyMap<number, ReadonlySet<string>>,
): boolean {
  const { id, mountPoint } = listed.mount;
  if (listed.parent !== id && pointsOn.get(id)?.has(mountPoint)) return true;
  const seen = new Set<Listed>();
  let each: Listed | undefined = listed;
  while (each !== undefined && !seen.has(each)) {
    seen.add(each);
    // Had what is mounted higher up been there first, this one would be mounted on it and not beside it.
    const beside = pointsOn.get(each.parent);
    let point = each.mount.mountPoint;
    while (point.length > 1) {
      point = dirname(point);
      if (beside?.has(point)) return true;
    }
    each = byId.get(each.parent);
  }
  return false;
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits of each byte. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The mount points strictly below `directory`, an absolute path without symlinks. */
export function mountPointsBelow(all: readonly Mount[], directory: string): string[] {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`;
  return [...new Set(all.map((mount) => mount.mountPoint))].filter(
    (point) => point.startsWith(prefix) && point !== prefix,
  );
}
