import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { openSignal } from '../options.js';

/** A reading as a script gives it. `time` is when the call came and `source` is the fake's name, unless it says otherwise. */
export interface FakeReading extends Partial<Metrics> {
  /** Milliseconds that the call takes. */
  readonly delayMs?: number;
}

/** A failure that takes its time, or that is no Error. */
export interface FakeFailure {
  /** What the call rejects with. */
  readonly error: unknown;
  /** Milliseconds that the call takes. */
  readonly delayMs?: number;
}

/** What one call does: give a reading, reject with an error, or hang until {@link FakeMetrics.release} or its signal ends it. */
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

/** A provider that does as its script says. It keeps the whole contract, touches nothing and works on every platform. */
export class FakeMetrics implements MetricsProvider {
  readonly name: string;
  readonly #script: readonly FakeStep[];
  readonly #hanging = new Set<(outcome: Outcome) => void>();
  #calls = 0;
  #steps = 0;

  /**
   * @param options - name and script
   * @throws TypeError when the script is no list, or empty
   */
  constructor({ name = 'fake', script = [{}] }: FakeMetricsOptions = {}) {
    if (!Array.isArray(script)) throw new TypeError(`Expected script to be a list, got ${typeof script}`);
    if (script.length === 0) throw new TypeError('Expected script to have at least one step');
    this.name = name;
    this.#script = script;
  }

  /** How often `getMetrics` has been called, with a signal that was aborted already too. */
  get calls(): number {
    return this.#calls;
  }

  /** How many calls hang now. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /**
   * Ends the calls that hang now.
   *
   * @param outcome - how; by default with a reading without any quantity
   */
  release(outcome: FakeReading | FakeFailure | Error = {}): void {
    for (const end of [...this.#hanging]) end(outcome);
  }

  /**
   * Takes the next step of the script. A call whose signal is aborted already takes none.
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

  /** The step itself, once its time has come. */
  async #outcome(step: FakeStep, signal: AbortSignal | undefined): Promise<Outcome> {
    if (step !== 'hang' && (step instanceof Error || step.delayMs === undefined)) return step;
    return await new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        this.#hanging.delete(end);
        signal?.removeEventListener('abort', leave);
      };
      const end = (outcome: Outcome): void => {
        stop();
        resolve(outcome);
      };
      const leave = (): void => {
        stop();
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', leave);
      const timer = step === 'hang' ? undefined : setTimeout(end, step.delayMs, step);
      if (step === 'hang') this.#hanging.add(end);
    });
  }
}
