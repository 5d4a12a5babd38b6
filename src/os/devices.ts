import { readFileSync } from 'node:fs';
import type { PathInfo } from './os-binding.js';

// What stat(2) says about the kind of a file and of devices. Device numbers are in glibc's encoding
// (sys/sysmacros.h): 32 bits each of major and minor, interleaved.

const S_IFMT = 0o170000n;
const KINDS = new Map<bigint, PathInfo['kind']>([
  [0o040000n, 'directory'],
  [0o100000n, 'file'],
  [0o060000n, 'block'],
]);

/** @param mode - stat(2)'s st_mode */
export function kindOf(mode: bigint): PathInfo['kind'] {
  return KINDS.get(mode & S_IFMT) ?? 'other';
}

/** `major:minor`, as /sys and mountinfo write a device number. */
export function majorMinor(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${String(major)}:${String(minor)}`;
}

/** The device number of a major and a minor number. */
export function deviceNumber(major: bigint, minor: bigint): bigint {
  return (
    ((major & 0xfffff000n) << 32n) |
    ((major & 0xfffn) << 8n) |
    ((minor & 0xffffff00n) << 12n) |
    (minor & 0xffn)
  );
}

/** The kernel counts a block device in units of 512 bytes, whatever the size of its sectors. */
const UNIT = 512n;

/**
 * Bytes of a block device, as the kernel keeps them in /sys. The device is not opened, so no right to read it
 * is needed.
 *
 * @param device - its number, stat(2)'s st_rdev
 * @throws a system error ENOENT if the kernel has no such device
 */
export function blockDeviceSize(device: bigint): bigint {
  // Synchronous: /sys answers from the kernel's memory, and Node's thread pool may be full (see
  // readMountinfo).
  const text = readFileSync(`/sys/dev/block/${majorMinor(device)}/size`, 'utf8');
  return BigInt(text.trim()) * UNIT;
}
