import { UsageError } from './usage-error.js';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/**
 * Milliseconds of a duration as people write it: `5s`, `1.5s`, `200ms`, `2m`, or a bare number of milliseconds.
 *
 * @throws UsageError when it is none
 */
export function parseDuration(option: string, text: string): number {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
  if (number === undefined) {
    throw new UsageError(`${option} expects a duration such as 5s or 200ms, got '${text}'`);
  }
  return Number(number) * (UNITS_MS[unit] ?? 1);
}
