import { posix } from 'node:path';
import { mounts, type Mount } from 'kube-volume-metrics';
import { commandFailed } from './commands.js';
import { alreadyExists, failedPrecondition } from './csi-error.js';
import { attachLoopDevice, detachLoopDevices, loopDevicesOf } from './loop-devices.js';
import { placeOf, type Placement } from './placement.js';
import type { VolumeChange } from './volume-changes.js';
import type { Volume } from './volume-store.js';

/**
 * Places volumes as bind mounts: of the directory that is the volume, or of the loop device over its image.
 * The kernel's list of mounts is what the driver knows of them, and nothing that is mounted is touched to
 * find it out.
 */
export const placeByMount: Placement = {
  isPrivileged: true,

  async stage(volume, path, change) {
    if (volume.kind === 'block') await attachLoopDevice(volume.dataPath, change);
    else await mountAt(await existingPlace(path, change), volume, { readOnly: false }, change);
  },

  async unstage(volume, path, change) {
    if (volume.kind === 'directory') {
      await unmountAt(await placeOf(path, change), volume, change);
      return;
    }
    // The device would be another volume's next, and still be there as this one.
    if ((await mountsOf(volume)).length > 0) throw failedPrecondition('the volume is still published');
    await detachLoopDevices(volume.dataPath, change);
  },

  async isStaged(volume, path, change) {
    if (volume.kind === 'block') return (await loopDevicesOf(volume.dataPath)).length > 0;
    const place = await placeOf(path, change);
    return (await mountsOf(volume)).some(({ mountPoint }) => mountPoint === place);
  },

  async publish(volume, path, readOnly, change) {
    await mountAt(await existingPlace(path, change), volume, { readOnly }, change);
  },

  async unpublish(volume, path, change) {
    const place = await placeOf(path, change);
    await unmountAt(place, volume, change);
    if (place !== undefined) await removeMountPoint(place, change);
  },

  async isInUse(volume) {
    if (volume.kind === 'block' && (await loopDevicesOf(volume.dataPath)).length > 0) return true;
    return (await mountsOf(volume)).length > 0;
  },
};

async function existingPlace(path: string, change: VolumeChange): Promise<string> {
  const place = await placeOf(path, change);
  if (place === undefined) throw failedPrecondition(`there is no directory for ${path}`);
  return place;
}

async function mountAt(
  place: string,
  volume: Volume,
  { readOnly }: { readOnly: boolean },
  change: VolumeChange,
): Promise<void> {
  const there = await topMountAt(place);
  if (there !== undefined) {
    if (!(await isOf(volume, there))) throw failedPrecondition(`something else is mounted on ${place}`);
    if (there.readOnly === readOnly || volume.kind === 'block') return;
    throw alreadyExists(`the volume is at ${place}, ${there.readOnly ? 'read-only' : 'writable'}`);
  }
  await makeMountPoint(place, volume, change);
  const source = volume.kind === 'block' ? await attachLoopDevice(volume.dataPath, change) : volume.dataPath;
  await change.run('mount', '-o', readOnly ? 'bind,ro' : 'bind', source, place);
  // Not every mount(8) makes a bind mount read-only at once.
  if (readOnly && (await topMountAt(place))?.readOnly === false) {
    await change.run('mount', '-o', 'remount,bind,ro', place);
  }
}

/** Leaves what is not the volume's. */
async function unmountAt(place: string | undefined, volume: Volume, change: VolumeChange): Promise<void> {
  for (;;) {
    const there = place === undefined ? undefined : await topMountAt(place);
    if (place === undefined || there === undefined) return;
    if (!(await isOf(volume, there))) throw failedPrecondition(`something else is mounted on ${place}`);
    await unmount(place, change);
  }
}

/** The place is a name of the kernel's: looking at it once more would hang where what is mounted does. */
async function unmount(place: string, change: VolumeChange): Promise<void> {
  const ended = await change.try('umount', '--no-canonicalize', place);
  // BusyBox has no such option.
  if (ended.stderr.includes('unrecognized option')) await change.run('umount', place);
  else if (ended.exitCode !== 0) throw commandFailed('umount', ended);
}

async function makeMountPoint(place: string, { kind }: Volume, change: VolumeChange): Promise<void> {
  const there = await change.lookAt(place);
  const wanted = kind === 'block' ? 'file' : 'directory';
  if (there === undefined) {
    await (kind === 'block' ? change.run('touch', place) : change.run('mkdir', place));
    return;
  }
  if (there.kind !== wanted || (kind === 'block' && there.size > 0n)) {
    throw failedPrecondition(`${place} is there, and it is no empty ${wanted}`);
  }
  // Whatever it leads to would be mounted on, and not found again.
  const { exitCode } = await change.try('readlink', place);
  if (exitCode === 0) throw failedPrecondition(`${place} is a symlink`);
}

/** Removes what a volume was mounted on: an empty directory, or an empty file. */
async function removeMountPoint(place: string, change: VolumeChange): Promise<void> {
  const there = await change.lookAt(place);
  if (there === undefined) return;
  if (there.kind === 'directory') await change.run('rmdir', place);
  else if (there.kind === 'file' && there.size === 0n) await change.run('rm', '-f', place);
  else throw failedPrecondition(`${place} is not what a volume was mounted on`);
}

/** What is mounted on a place, and not covered by another mount. */
async function topMountAt(place: string): Promise<Mount | undefined> {
  return (await mounts()).find(({ mountPoint, hidden }) => mountPoint === place && !hidden);
}

async function isOf(volume: Volume, mount: Mount): Promise<boolean> {
  return (await mountsOf(volume)).some(({ id }) => id === mount.id);
}

/** All bind mounts of a volume: the kernel lists which part of which filesystem each of them shows. */
async function mountsOf({ kind, dataPath }: Volume): Promise<Mount[]> {
  const all = await mounts();
  const sources = kind === 'block' ? await loopDevicesOf(dataPath) : [dataPath];
  return sources.flatMap((source) => {
    // The mount that the source is on.
    const [holder] = all
      .filter(({ mountPoint, hidden }) => !hidden && isIn(source, mountPoint))
      .sort((one, other) => other.mountPoint.length - one.mountPoint.length);
    if (holder === undefined) return [];
    const root = posix.join(holder.root, posix.relative(holder.mountPoint, source));
    // The kernel adds the second when the directory was removed.
    const roots = [root, `${root}//deleted`];
    return all.filter(
      ({ device, root: shown, mountPoint }) =>
        device === holder.device && roots.includes(shown) && mountPoint !== source,
    );
  });
}

function isIn(path: string, directory: string): boolean {
  return path === directory || directory === '/' || path.startsWith(`${directory}/`);
}
