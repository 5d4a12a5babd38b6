import { readdir, readFile } from 'node:fs/promises';
import type { VolumeChange } from './volume-changes.js';

/**
 * The loop devices over an image, such as `/dev/loop0`: the kernel knows them, also when the process that
 * attached them is long gone.
 */
export async function loopDevicesOf(image: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir('/sys/block')) {
    if (!name.startsWith('loop')) continue;
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '');
    if ([`${image}\n`, `${image} (deleted)\n`].includes(file)) found.push(`/dev/${name}`);
  }
  return found;
}

/** Attaches an image to a loop device, if it is not yet, and gives the device. */
export async function attachLoopDevice(image: string, change: VolumeChange): Promise<string> {
  const [device] = await loopDevicesOf(image);
  return device ?? (await change.run('losetup', '--find', '--show', image)).trim();
}

/** Detaches an image from its loop devices, if it has any. */
export async function detachLoopDevices(image: string, change: VolumeChange): Promise<void> {
  for (const device of await loopDevicesOf(image)) await change.run('losetup', '--detach', device);
}
