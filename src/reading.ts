import { types } from 'node:util';
import { MetricsError } from './errors.js';
import type { Metrics } from './metrics.js';

/** The numbers of a reading, in the kubelet's order. */
export const QUANTITIES = ['capacity', 'available', 'used', 'inodes', 'inodesFree', 'inodesUsed'] as const;

/** The name of a number of a reading. */
export type Quantity = (typeof QUANTITIES)[number];

/** The largest signed 64-bit number. As a count of inodes or blocks, it and all above it mean "no limit". */
export const LARGEST_INT64 = 2n ** 63n - 1n;

/**
 * How far, in milliseconds, the clock of the measuring side may be ahead. A reading from further ahead would
 * never grow old.
 */
const MOST_AHEAD_MS = 60_000;

/**
 * What a provider gave, as a reading.
 *
 * @param provider - the provider's name
 * @throws MetricsError METRICS_PROVIDER_FAILED if the reading is invalid; the message names the field,
 * `cause` is the value
 */
export function checkedReading(provider: string, value: unknown): Metrics {
  const problem = readingProblem(value);
  if (problem === undefined) return value as Metrics;
  throw new MetricsError('METRICS_PROVIDER_FAILED', `provider "${provider}" gave no reading: ${problem}`, {
    cause: value,
  });
}

/** What makes a value invalid as a reading, in words; undefined if it is valid. */
export function readingProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `it is ${show(value)}`;
  const reading = value as Record<keyof Metrics, unknown>;
  // Not instanceof: a date of another realm is one too.
  if (!types.isDate(reading.time)) return `its time is ${show(reading.time)}, not a date`;
  if (Number.isNaN(reading.time.getTime())) return 'its time is an invalid date';
  if (reading.time.getTime() > Date.now() + MOST_AHEAD_MS) {
    return `its time is in the future (${reading.time.toISOString()})`;
  }
  if (typeof reading.source !== 'string' || reading.source === '') {
    return `its source is ${show(reading.source)}, not a name`;
  }
  for (const name of QUANTITIES) {
    const problem = quantityProblem(reading[name]);
    if (problem !== undefined) return `its ${name} is ${problem}`;
  }
  return restProblem(reading);
}

/** What makes a value invalid as a number of a reading, in words; undefined if it is valid or absent. */
export function quantityProblem(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'bigint') return `${show(value)}, not a bigint`;
  return value < 0n ? `negative (${String(value)})` : undefined;
}

function restProblem({
  readOnly,
  condition,
  incomplete,
  warnings,
}: Record<keyof Metrics, unknown>): string | undefined {
  if (readOnly !== undefined && typeof readOnly !== 'boolean')
    return `its readOnly is ${show(readOnly)}, not a boolean`;
  if (condition !== undefined) {
    const { abnormal, message, problems } = fields(condition);
    if (typeof abnormal !== 'boolean' || typeof message !== 'string') {
      return 'its condition lacks a boolean "abnormal" or a text "message"';
    }
    if (problems !== undefined && !(Array.isArray(problems) && problems.every(isProblem))) {
      return 'the problems of its condition are not a list with the texts "status", "reason" and "message"';
    }
  }
  if (incomplete !== undefined) {
    const { errors, first } = fields(incomplete);
    if (!Number.isSafeInteger(errors) || Number(errors) < 1) {
      return 'its incomplete lacks a whole number "errors" of at least 1';
    }
    if (!hasTexts(first, 'path', 'code')) return 'the first of its incomplete lacks a text "path" or "code"';
  }
  if (
    warnings !== undefined &&
    !(Array.isArray(warnings) && warnings.every((each) => typeof each === 'string'))
  ) {
    return `its warnings are ${show(warnings)}, not texts`;
  }
  return undefined;
}

function isProblem(value: unknown): boolean {
  return hasTexts(value, 'status', 'reason', 'message');
}

function hasTexts(value: unknown, ...names: string[]): boolean {
  return names.every((name) => typeof fields(value)[name] === 'string');
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * The space available to an unprivileged writer, as a filesystem or a CSI driver reports it. More than the
 * total is passed on with a warning: a pool may be larger than the quota of the volume. A negative number
 * that wrapped into an unsigned 64-bit number counts as 0.
 *
 * @param unit - what both numbers count, for the warning: `blocks`, `bytes`
 * @param warnings - receives a sentence if there is something to say
 */
export function availableOf(available: bigint, total: bigint, unit: string, warnings: string[]): bigint {
  if (available <= total) return available;
  const ofTotal = `${String(available)} available ${unit} of ${String(total)}`;
  if (available > LARGEST_INT64) {
    warnings.push(`available taken as 0: ${ofTotal} is a wrapped negative`);
    return 0n;
  }
  warnings.push(`available is more than the capacity: ${ofTotal}`);
  return available;
}

/** A value in words, for messages: short, whatever it is. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'number') return `the number ${String(value)}`;
  if (value === '') return 'an empty string';
  if (typeof value === 'object') return isArray(value) ? 'an array' : 'an object';
  return `a ${typeof value}`;
}

function isArray(value: unknown): boolean {
  try {
    return Array.isArray(value);
  } catch {
    // A proxy that was revoked.
    return false;
  }
}
