import { posix } from 'node:path';
import type { Abilities } from './volume-capabilities.js';
import type { VolumeChange } from './volume-changes.js';
import type { Volume } from './volume-store.js';

/**
 * How volumes come to where the orchestrator wants them. Each method may be repeated, after any failure and
 * any restart: what is there is looked at, nothing is remembered.
 */
export interface Placement extends Abilities {
  stage(volume: Volume, path: string, change: VolumeChange): Promise<void>;
  unstage(volume: Volume, path: string, change: VolumeChange): Promise<void>;
  isStaged(volume: Volume, path: string, change: VolumeChange): Promise<boolean>;
  publish(volume: Volume, path: string, readOnly: boolean, change: VolumeChange): Promise<void>;
  unpublish(volume: Volume, path: string, change: VolumeChange): Promise<void>;
  /** Whether the volume is staged or published anywhere. */
  isInUse(volume: Volume, change: VolumeChange): Promise<boolean>;
}

/**
 * The path with the symlinks of its parents resolved, which is how the kernel lists it once something is
 * mounted there; undefined when there is no parent. What is at the path itself is not touched: it may be
 * dead.
 */
export async function placeOf(path: string, change: VolumeChange): Promise<string | undefined> {
  const parent = posix.dirname(path);
  if ((await change.lookAt(parent)) === undefined) return undefined;
  const resolved = (await change.run('realpath', parent)).replace(/\n$/, '');
  return posix.join(resolved, posix.basename(path));
}
