import assert from 'node:assert/strict';
import type { Metrics } from '../metrics.js';

/** The fields that count something, all of them bigints. */
const QUANTITIES = ['capacity', 'available', 'used', 'inodes', 'inodesFree', 'inodesUsed'] as const;

/** A field of a reading that may be absent. */
export type MetricsField = Exclude<keyof Metrics, 'time' | 'source'>;

/** Whether the reading has the field; one that is undefined or null counts as absent here, and fails a check of its own. */
export function has(reading: Metrics, field: MetricsField): boolean {
  return (reading[field] ?? undefined) !== undefined;
}

export function checkTime(reading: Metrics, startMs: number, endMs: number): void {
  const { time } = reading;
  assert.ok(time instanceof Date, `time is a Date, not ${String(time)}`);
  assert.ok(
    startMs <= time.getTime() && time.getTime() <= endMs,
    `time lies within the call, ${iso(startMs)} to ${iso(endMs)}: ${iso(time.getTime())}`,
  );
}

function iso(ms: number): string {
  return Number.isNaN(ms) ? 'no valid time' : new Date(ms).toISOString();
}

export function checkSource(reading: Metrics): void {
  assert.equal(typeof reading.source, 'string', 'source is a text');
  assert.notEqual(reading.source, '', 'source says who measured');
}

export function checkQuantities(reading: Metrics): void {
  for (const field of QUANTITIES.filter((each) => has(reading, each))) {
    const value: unknown = reading[field];
    assert.equal(typeof value, 'bigint', `${field} is a bigint, not ${typeof value}`);
    assert.ok((value as bigint) >= 0n, `${field} is at least 0, not ${String(value)}`);
  }
}

export function checkAbsence(reading: Metrics): void {
  for (const [field, value] of Object.entries(reading)) {
    assert.ok(
      value !== undefined && value !== null,
      `${field} is left out where it is not known, not ${String(value)}`,
    );
  }
}

/**
 * What holds for any storage. `used` may well be more than `capacity`: shared extents count once for each file, and a quota may
 * be lowered under what is there.
 */
export function checkAgreement(reading: Metrics): void {
  for (const [part, whole] of [
    ['available', 'capacity'],
    ['inodesFree', 'inodes'],
  ] as const) {
    const [some, all] = [reading[part], reading[whole]];
    assert.ok(
      some === undefined || all === undefined || some <= all,
      `${part} (${String(some)}) is at most ${whole} (${String(all)})`,
    );
  }
}

export function checkDetails({ readOnly, condition, incomplete, warnings }: Metrics): void {
  assert.ok(isAbsent(readOnly) || typeof readOnly === 'boolean', 'readOnly is a boolean');
  if (!isAbsent(condition)) {
    assert.equal(typeof condition.abnormal, 'boolean', 'condition.abnormal is a boolean');
    assert.equal(typeof condition.message, 'string', 'condition.message is a text');
    for (const { status, reason, message } of condition.problems ?? []) {
      for (const text of [status, reason, message])
        assert.equal(typeof text, 'string', 'condition.problems has texts');
    }
  }
  if (!isAbsent(incomplete)) {
    const { errors, first } = incomplete;
    assert.ok(Number.isSafeInteger(errors) && errors > 0, 'incomplete.errors counts at least one error');
    assert.equal(typeof first?.path, 'string', 'incomplete.first.path is a text');
    assert.equal(typeof first.code, 'string', 'incomplete.first.code is a text');
  }
  if (!isAbsent(warnings)) {
    assert.ok(
      Array.isArray(warnings) && warnings.length > 0,
      'warnings is a list, and absent when it is empty',
    );
    for (const text of warnings as unknown[]) {
      assert.ok(typeof text === 'string' && text !== '', 'each warning is a sentence');
    }
  }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}
