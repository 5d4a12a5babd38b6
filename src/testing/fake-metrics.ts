import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedMs, checkedOptions, checkedText, openSignal } from '../options.js';
import { show } from '../reading.js';
import { onAbort } from '../waiting/abort.js';

/**
 * A reading as a script gives it. By default, `time` is when the call came and `source` is the fake's name.
 * The values are given as they are, so that a test in JavaScript, or with a cast, can give an invalid
 * reading.
 */
export interface FakeReading extends Partial<Metrics> {
  /**
   * Milliseconds that the call takes.
   *
   * @defaultValue 0
   */
  readonly delayMs?: number;
}

/** A failure after a delay, or with a value that is not an Error. */
export interface FakeFailure {
  /** What the call rejects with. */
  readonly error: unknown;
  /**
   * Milliseconds that the call takes.
   *
   * @defaultValue 0
   */
  readonly delayMs?: number;
}

/**
 * What one call does: give a reading, reject with an error, or hang until {@link FakeMetrics.release} or its
 * signal ends it.
 */
export type FakeStep = FakeReading | FakeFailure | Error | 'hang';

/** Options of {@link FakeMetrics}. */
export interface FakeMetricsOptions {
  /** @defaultValue `'fake'` */
  readonly name?: string;
  /**
   * What the calls do, one step a call; the last step is repeated.
   *
   * @defaultValue one reading without any quantity
   */
  readonly script?: readonly FakeStep[];
}

type Outcome = Exclude<FakeStep, 'hang'>;

/**
 * A provider that follows a script. It keeps the whole contract, touches nothing on disk and works on every
 * platform.
 */
export class FakeMetrics implements MetricsProvider {
  readonly name: string;
  readonly #script: readonly FakeStep[];
  readonly #hanging = new Set<(outcome: Outcome) => void>();
  #calls = 0;
  #steps = 0;

  /**
   * @param options - name and script
   * @throws TypeError for an unknown option, and unless the name is a string and the script is a list of at
   * least one step; for a step with an unknown field or an invalid `delayMs`
   */
  constructor(options: FakeMetricsOptions = {}) {
    const { name = 'fake', script = [{}] } = checkedOptions(options, ['name', 'script']);
    if (!Array.isArray(script)) throw new TypeError(`Expected script to be a list, got ${show(script)}`);
    if (script.length === 0) throw new TypeError('Expected script to have at least one step');
    for (const step of script as readonly FakeStep[]) if (step !== 'hang') checkOutcome(step);
    this.name = checkedText('name', name);
    this.#script = script;
  }

  /** How often `getMetrics` has been called, including calls whose signal was already aborted. */
  get calls(): number {
    return this.#calls;
  }

  /** How many calls hang at the moment. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /**
   * Ends the calls that hang at the moment.
   *
   * @param outcome - what they end with; by default a reading without any quantity
   * @throws TypeError for an outcome that cannot be a step
   */
  release(outcome: FakeReading | FakeFailure | Error = {}): void {
    checkOutcome(outcome);
    for (const end of [...this.#hanging]) end(outcome);
  }

  /**
   * Takes the next step of the script. A call whose signal is already aborted takes none.
   *
   * @param options - the signal ends a delay and a hang
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    this.#calls += 1;
    const signal = openSignal(options);
    const time = new Date();
    const step = this.#script[Math.min(this.#steps, this.#script.length - 1)] ?? {};
    this.#steps += 1;
    const outcome = await this.#outcome(step, signal);
    if (outcome instanceof Error) throw outcome;
    if ('error' in outcome) throw outcome.error;
    const reading: { -readonly [Key in keyof FakeReading]: FakeReading[Key] } = { ...outcome };
    delete reading.delayMs;
    return { time, source: this.name, ...reading };
  }

  /** The step itself, after its delay or its hang. */
  async #outcome(step: FakeStep, signal: AbortSignal | undefined): Promise<Outcome> {
    if (step !== 'hang' && (step instanceof Error || step.delayMs === undefined)) return step;
    return await new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        this.#hanging.delete(end);
        stopListening();
      };
      const end = (outcome: Outcome): void => {
        stop();
        resolve(outcome);
      };
      const stopListening = onAbort(signal, (reason) => {
        stop();
        reject(reason);
      });
      const timer = step === 'hang' ? undefined : setTimeout(end, step.delayMs, step);
      if (step === 'hang') this.#hanging.add(end);
    });
  }
}

const FIELDS: Readonly<Record<keyof FakeReading, true>> = {
  ...{ time: true, source: true, capacity: true, available: true, used: true, inodes: true },
  ...{ inodesFree: true, inodesUsed: true, readOnly: true, condition: true, incomplete: true },
  ...{ warnings: true, delayMs: true },
};

/** @throws TypeError unless it is an error, a failure or a reading, whose values may be wrong on purpose */
function checkOutcome(outcome: Outcome): void {
  const given: unknown = outcome;
  if (given instanceof Error) return;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const shown = typeof given === 'string' ? JSON.stringify(given) : show(given);
    throw new TypeError(`Expected a step to be 'hang', an Error, { error } or a reading, got ${shown}`);
  }
  if ('error' in given) checkedOptions(given as FakeFailure, ['error', 'delayMs']);
  else checkedOptions(given as FakeReading, Object.keys(FIELDS) as (keyof FakeReading)[]);
  const { delayMs } = given as FakeReading;
  if (delayMs !== 0) checkedMs('delayMs', delayMs, 0);
}
