import { createHash } from 'node:crypto';
import { mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from './csi-error.js';
import type { Placement } from './placement.js';
import type { VolumeChange } from './volume-changes.js';
import type { Volume } from './volume-store.js';

/**
 * Places volumes as symlinks to their directories, for a driver that may not mount: good enough to develop
 * against. The kernel has no list of symlinks, so the volume's folder has one of the places that it was put
 * to.
 */
export const placeBySymlink: Placement = {
  isPrivileged: false,
  stage: link,
  publish: (volume, path, _readOnly, change) => link(volume, path, change),
  isStaged,

  async unstage(volume, path, change) {
    // The staging directory is the orchestrator's, and there again afterwards.
    if (await unlink(volume, path, change)) await change.run('mkdir', path);
  },

  async unpublish(volume, path, change) {
    await unlink(volume, path, change);
    if ((await targetOf(path, change)) !== undefined) throw failedPrecondition(`${path} leads elsewhere`);
    const there = await change.lookAt(path);
    if (there?.kind === 'directory') await change.run('rmdir', path);
    else if (there !== undefined) throw failedPrecondition(`${path} is no directory`);
  },

  async isInUse(volume, change) {
    const folder = linksOf(volume);
    const names = await readdir(folder).catch(() => []);
    for (const name of names) {
      if (await isStaged(volume, await readlink(join(folder, name)), change)) return true;
    }
    return false;
  },
};

async function link(volume: Volume, path: string, change: VolumeChange): Promise<void> {
  const target = await targetOf(path, change);
  if (target === volume.dataPath) return;
  if (target !== undefined) throw failedPrecondition(`${path} leads elsewhere`);
  const there = await change.lookAt(path);
  if (there !== undefined && there.kind !== 'directory') {
    throw failedPrecondition(`${path} is there, and it is no directory`);
  }
  await mkdir(linksOf(volume), { recursive: true });
  const record = recordOf(volume, path);
  await rm(record, { force: true });
  await symlink(path, record);
  if (there !== undefined) await change.run('rmdir', path);
  await change.run('ln', '-s', '-T', volume.dataPath, path);
}

/** Removes the link to the volume; false when there was none. */
async function unlink(volume: Volume, path: string, change: VolumeChange): Promise<boolean> {
  const wasThere = await isStaged(volume, path, change);
  if (wasThere) await change.run('rm', '-f', path);
  await rm(recordOf(volume, path), { force: true });
  return wasThere;
}

async function isStaged(volume: Volume, path: string, change: VolumeChange): Promise<boolean> {
  return (await targetOf(path, change)) === volume.dataPath;
}

/** Where a symlink leads; undefined for anything else. */
async function targetOf(path: string, change: VolumeChange): Promise<string | undefined> {
  const { exitCode, stdout } = await change.try('readlink', path);
  return exitCode === 0 ? stdout.replace(/\n$/, '') : undefined;
}

function linksOf({ folder }: Volume): string {
  return join(folder, 'links');
}

/** What remembers that the volume was linked from a path. */
function recordOf(volume: Volume, path: string): string {
  return join(linksOf(volume), createHash('sha256').update(path).digest('hex'));
}
