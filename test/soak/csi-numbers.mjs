// @ts-check

/**
 * What the driver says of a volume, different for each. The bytes are beyond what a double holds exactly.
 *
 * @param {number} number the volume's
 */
export function csiNumbers(number) {
  const capacity = 2n ** 60n + 1_000_003n * BigInt(number);
  const used = 2n ** 54n + 13n * BigInt(number) + 1n;
  const inodes = 100_000n + BigInt(number);
  const inodesUsed = 7n + BigInt(number);
  return { capacity, used, available: capacity - used, inodes, inodesUsed, inodesFree: inodes - inodesUsed };
}

/** @param {number} number */
export function csiVolume(number) {
  return { volumeId: `volume-${String(number)}`, volumePath: `/csi/volume-${String(number)}/mount` };
}
