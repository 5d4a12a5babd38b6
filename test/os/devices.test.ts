import { expect, test } from 'vitest';
import { deviceNumber, majorMinor } from '../../src/os/devices.js';

test.each([
  [0x0801n, 8n, 1n],
  [0xfe00n, 254n, 0n],
  // 12 and 20 bits, as the kernel has them: the minor is split around the major.
  [0xffff_ffffn, 4095n, 1048575n],
  [0x1_0000_0000n, 0n, 1048576n],
  // 32 bits of each, as glibc makes room for.
  [0x1000_0000_0000n, 4096n, 0n],
  [0xffff_ffff_ffff_ffffn, 0xffff_ffffn, 0xffff_ffffn],
  [0xabcd_e987_654f_1232n, 0xabcd_ef12n, 0x9876_5432n],
])('device number %s has major %s and minor %s', (device, major, minor) => {
  expect(majorMinor(device)).toBe(`${String(major)}:${String(minor)}`);
  expect(deviceNumber(major, minor)).toBe(device);
});
