import { readFileSync } from 'node:fs';

/** The kernel counts a block device in units of 512 bytes, whatever its sectors are. */
const UNIT = 512n;

/** `major:minor` of a device number of stat(2), by glibc's encoding (sys/sysmacros.h): 32 bits of each, interleaved. */
export function majorMinor(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${String(major)}:${String(minor)}`;
}

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
