import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedOptions, openSignal } from '../options.js';
import { onAbort } from '../waiting/abort.js';

/**
 * A reading as a script gives it. By default, `time` is when the call came and `source` is the fake's name.
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
   * @throws TypeError for an unknown option, and unless the script is a list of at least one step
   */
  constructor(options: FakeMetricsOptions = {}) {
    const { name = 'fake', script = [{}] } = checkedOptions(options, ['name', 'script']);
    if (!Array.isArray(script)) throw new TypeError(`Expected script to be a list, got ${typeof script}`);
    if (script.length === 0) throw new TypeError('Expected script to have at least one step');
    this.name = name;
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
   */
  release(outcome: FakeReading | FakeFailure | Error = {}): void {
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
