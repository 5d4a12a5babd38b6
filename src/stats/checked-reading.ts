import { types } from 'node:util';
import { isMetricsError, MetricsError } from '../errors.js';
import type { Metrics, MetricsProvider } from '../metrics.js';

const QUANTITIES = ['capacity', 'available', 'used', 'inodes', 'inodesFree', 'inodesUsed'] as const;

/** How far the clock of whoever measured may be ahead; a reading from further on would never grow old. */
const MOST_AHEAD_MS = 60_000;

/** @throws MetricsError METRICS_PROVIDER_FAILED saying what of the reading is none, with the reading as `cause` */
export function checkedReading(provider: string, value: unknown): Metrics {
  const problem = readingProblem(value);
  if (problem === undefined) return value as Metrics;
  throw new MetricsError('METRICS_PROVIDER_FAILED', `provider "${provider}" gave no reading: ${problem}`, {
    cause: value,
  });
}

/** An error of this package as it is; any other as that of `who`, which does not keep the contract. */
export function callError(who: string, error: unknown): MetricsError {
  if (isMetricsError(error)) return error;
  return new MetricsError('METRICS_PROVIDER_FAILED', `${who} failed: ${errorText(error)}`, { cause: error });
}

/**
 * Calls a provider.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED when it is no provider, or throws where it must reject
 */
export function callProvider(provider: MetricsProvider | undefined, signal: AbortSignal): unknown {
  const given: Partial<MetricsProvider> | null | undefined = provider;
  if (typeof given?.getMetrics !== 'function') {
    throw new MetricsError(
      'METRICS_PROVIDER_FAILED',
      `the volume's provider has no getMetrics: ${show(provider)}`,
      {
        cause: provider,
      },
    );
  }
  try {
    return given.getMetrics({ signal });
  } catch (error) {
    throw new MetricsError(
      'METRICS_PROVIDER_FAILED',
      `provider "${providerName(provider)}" threw instead of rejecting: ${errorText(error)}`,
      { cause: error },
    );
  }
}

/** What an error says; whatever is thrown has a text. */
export function errorText(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const message: unknown = error instanceof Error ? error.message : undefined;
  return typeof message === 'string' ? message : 'it threw an object that is no Error';
}

/** A provider's name; `unknown` for one that has none, or fails to tell it. */
export function providerName(provider: MetricsProvider | undefined): string {
  try {
    const name: unknown = (provider as Partial<MetricsProvider> | null | undefined)?.name;
    return typeof name === 'string' && name !== '' ? name : 'unknown';
  } catch {
    return 'unknown';
  }
}

function readingProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `it is ${show(value)}`;
  const reading = value as Record<keyof Metrics, unknown>;
  // Not instanceof: a date of another realm is one too.
  if (!types.isDate(reading.time) || Number.isNaN(reading.time.getTime())) {
    return `its time is ${show(reading.time)}, not a date`;
  }
  if (reading.time.getTime() > Date.now() + MOST_AHEAD_MS) {
    return `its time is in the future (${reading.time.toISOString()})`;
  }
  if (typeof reading.source !== 'string' || reading.source === '') {
    return `its source is ${show(reading.source)}, not a name`;
  }
  for (const name of QUANTITIES) {
    const quantity = reading[name];
    if (quantity === undefined) continue;
    if (typeof quantity !== 'bigint') return `its ${name} is ${show(quantity)}, not a bigint`;
    if (quantity < 0n) return `its ${name} is negative (${String(quantity)})`;
  }
  return restProblem(reading);
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
      return 'the problems of its condition are no list of texts "status", "reason" and "message"';
    }
  }
  if (incomplete !== undefined) {
    const { errors, first } = fields(incomplete);
    if (!Number.isSafeInteger(errors)) return 'its incomplete lacks a whole number "errors"';
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

/** A value in words, for messages: short, whatever it is. */
function show(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'number') return `the number ${String(value)}`;
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  return `a ${typeof value}`;
}
