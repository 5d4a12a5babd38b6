const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB'];
const STEP = 1024;

/** What stands for a number that is not known: never 0. */
export const UNKNOWN = '-';

/** Bytes in the unit that leaves up to four digits before the point. */
export function humanBytes(bytes: bigint): string {
  let amount = Number(bytes);
  let unit = 0;
  // 1023.97 KiB would be printed as 1024.0 KiB.
  while (unit < UNITS.length - 1 && Number(amount.toFixed(unit === 0 ? 0 : 1)) >= STEP) {
    amount /= STEP;
    unit += 1;
  }
  return `${amount.toFixed(unit === 0 ? 0 : 1)} ${UNITS[unit] ?? ''}`;
}

/** The part in hundredths, rounded up as df(1) does; unknown where the whole is nothing. */
export function percent(part: bigint, whole: bigint): string {
  return whole <= 0n ? UNKNOWN : `${String((part * 100n + whole - 1n) / whole)}%`;
}
