import { readFileSync } from 'node:fs';
import { majorMinor } from './device-number.js';

/** The kernel counts a block device in units of 512 bytes, whatever its sectors are. */
const UNIT = 512n;

/**
 * Bytes of a block device, as the kernel keeps them in /sys. The device is not opened, so this needs no right to read it.
 *
 * @param device - its number, stat(2)'s st_rdev
 * @throws a system error ENOENT when the kernel has no such device
 */
export function blockDeviceSize(device: bigint): bigint {
  // Read at once, from the kernel's memory: Node's pool may have no thread to spare (see readMountinfo).
  const text = readFileSync(`/sys/dev/block/${majorMinor(device)}/size`, 'utf8');
  return BigInt(text.trim()) * UNIT;
}
