import assert from 'node:assert/strict';
import { isMetricsError, type MetricsErrorCode } from '../errors.js';
import type { Metrics } from '../metrics.js';
import { checkedOptions } from '../options.js';
import { QUANTITIES, readingProblem, show } from '../reading.js';

/** A field of a reading that may be absent. */
export type MetricsField = Exclude<keyof Metrics, 'time' | 'source'>;

const DETAILS = ['readOnly', 'condition', 'incomplete', 'warnings'] as const;
const FIELDS: readonly unknown[] = [...QUANTITIES, ...DETAILS];

/** @throws TypeError unless it says which fields readings have, or which code calls reject with */
export function checkReports(reports: object): void {
  const given: unknown = reports;
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`Expected reports to be an object, got ${show(given)}`);
  }
  const names = ['always', 'never', 'rejects'];
  const { always, never = [], rejects } = checkedOptions<Record<string, unknown>>({ ...given }, names);
  if (rejects !== undefined) {
    if (always === undefined && isMetricsError({ code: rejects })) return;
    throw new TypeError('Expected reports.rejects to be a code of MetricsError, without always and never');
  }
  for (const [name, fields] of Object.entries({ always, never })) {
    if (!Array.isArray(fields))
      throw new TypeError(`Expected reports.${name} to be a list, got ${show(fields)}`);
    const unknown = fields.filter((each) => !FIELDS.includes(each));
    if (unknown.length > 0)
      throw new TypeError(`Unknown field in reports.${name}: ${unknown.map(String).join(', ')}`);
  }
}

/**
 * How a call ends. A call that throws, or gives no promise, counts by the outcome of awaiting it.
 *
 * @throws AssertionError if it does not end in time
 */
export async function outcomeOf(
  call: () => unknown,
  limitMs: number,
): Promise<PromiseSettledResult<Metrics>> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new assert.AssertionError({ message: `the call settles within ${limitMs} ms` }));
    }, limitMs);
  });
  try {
    const settled = Promise.allSettled([(async () => (await call()) as Metrics)()]);
    return (await Promise.race([settled, limit]))[0];
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether the reading has the field. Undefined and null count as absent here; {@link checkAbsence} fails for
 * them.
 */
export function has(reading: Metrics, field: MetricsField): boolean {
  return (reading[field] ?? undefined) !== undefined;
}

export function checkTime(reading: Metrics, startMs: number, endMs: number): void {
  const { time } = reading;
  checkFields({ time });
  assert.ok(
    startMs <= time.getTime() && time.getTime() <= endMs,
    `time lies within the call, ${iso(startMs)} to ${iso(endMs)}: ${iso(time.getTime())}`,
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function checkSource({ source }: Metrics): void {
  checkFields({ source });
}

export function checkQuantities(reading: Metrics): void {
  checkFields(present(reading, QUANTITIES));
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
 * What holds for any storage. More may be available than the capacity if a warning says so: a pool may be
 * larger than a quota. `used` may be more than `capacity`: shared extents count once for each file, and a
 * quota may be lowered below what is in use.
 */
export function checkAgreement(reading: Metrics): void {
  for (const [part, whole] of [
    ['available', 'capacity'],
    ['inodesFree', 'inodes'],
  ] as const) {
    const [some, all] = [reading[part], reading[whole]];
    const isExplained = part === 'available' && has(reading, 'warnings');
    assert.ok(
      some === undefined || all === undefined || some <= all || isExplained,
      `${part} (${String(some)}) is at most ${whole} (${String(all)})`,
    );
  }
}

export function checkDetails(reading: Metrics): void {
  const details = present(reading, DETAILS);
  checkFields(details);
  const { incomplete, warnings } = details;
  if (incomplete !== undefined) {
    assert.ok(incomplete.errors > 0, 'incomplete.errors counts at least one error');
  }
  if (warnings !== undefined) {
    assert.ok(warnings.length > 0, 'warnings is absent when it is empty');
    for (const text of warnings) assert.ok(text !== '', 'each warning is a sentence');
  }
}

/** Fails if these fields would make an otherwise valid reading invalid. */
function checkFields(fields: Partial<Metrics>): void {
  const problem = readingProblem({ time: new Date(0), source: 'any', ...fields });
  assert.ok(problem === undefined, `the reading is valid, but ${String(problem)}`);
}

/** The fields that the reading has, of those that are named. */
function present<Field extends MetricsField>(
  reading: Metrics,
  names: readonly Field[],
): Partial<Pick<Metrics, Field>> {
  const entries = names.filter((name) => has(reading, name)).map((name) => [name, reading[name]] as const);
  return Object.fromEntries(entries) as Partial<Pick<Metrics, Field>>;
}

/** The reading that a call ended with. */
export function readingOf(outcome: PromiseSettledResult<Metrics>): Metrics {
  if (outcome.status === 'rejected') {
    const message = `the call should resolve, but it rejects with ${String(outcome.reason)}`;
    throw Object.assign(new assert.AssertionError({ message }), { cause: outcome.reason as unknown });
  }
  assert.ok(typeof outcome.value === 'object' && outcome.value !== null, 'the reading is an object');
  return outcome.value;
}

export function assertRejectedWith(outcome: PromiseSettledResult<Metrics>, code: MetricsErrorCode): void {
  assert.equal(outcome.status, 'rejected', 'the call rejects');
  assert.ok(isMetricsError(outcome.reason), `one of the codes of MetricsError: ${String(outcome.reason)}`);
  assert.equal(outcome.reason.code, code);
}

export function assertRejectedFor(outcome: PromiseSettledResult<Metrics>, reason: unknown): void {
  assert.equal(outcome.status, 'rejected', 'the call rejects');
  assert.equal(outcome.reason, reason, 'with the reason of the signal, unwrapped');
}

/** A turn of the event loop, after which whatever follows a settled call is done. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
