// @ts-check

/** @typedef {import('kube-volume-metrics').Metrics} Metrics */
/** @typedef {import('kube-volume-metrics').MetricsErrorCode} MetricsErrorCode */
/** @typedef {import('kube-volume-metrics').MetricsProvider} MetricsProvider */
/** @typedef {'capacity' | 'available' | 'used' | 'inodes' | 'inodesFree' | 'inodesUsed'} Quantity */
/** @typedef {Partial<Record<Quantity, readonly [least: bigint, most: bigint]>>} Ranges */

/**
 * What is known of a volume beforehand.
 *
 * @typedef {object} VolumeFacts
 * @property {string} name in the pod
 * @property {object} spec its kind
 * @property {MetricsProvider} provider
 * @property {Partial<Record<Quantity, bigint>>} [exact] what each reading says
 * @property {Ranges} [changing] what it may say while the volume is being made or taken away; always, if not
 * in `exact`
 * @property {readonly MetricsErrorCode[]} [mayFail] with what measuring it may fail at any time
 * @property {import('./worker.mjs').Place} [place] how a worker measures it
 * @property {'healthy' | 'recovers' | 'hostile'} [health] `recovers`: is read again once its trouble is over
 */

/** A volume, and what its readings may say. */
export class Volume {
  /** Since when it is as it stays, on the clock of `Date.now()`. */
  settledMs = -Infinity;
  /** Whether it was listed before it was made. */
  wasLate = false;
  isEnding = false;
  bornMs = Date.now();

  /** @param {VolumeFacts} facts */
  constructor({ name, spec, provider, exact = {}, changing = {}, mayFail = [], place, health = 'healthy' }) {
    this.name = name;
    this.spec = spec;
    this.provider = provider;
    this.exact = exact;
    this.changing = changing;
    this.mayFail = mayFail;
    this.place = place;
    this.health = health;
  }

  /** The claim's name, if it has one. */
  get claim() {
    const { persistentVolumeClaim } = /** @type {{ persistentVolumeClaim?: { claimName: string } }} */ (
      this.spec
    );
    return persistentVolumeClaim?.claimName;
  }

  /**
   * What is wrong with a reading; undefined when nothing is.
   *
   * @param {Metrics} metrics
   */
  problem(metrics) {
    if (metrics.source !== this.provider.name) return `source ${metrics.source}`;
    if (metrics.incomplete !== undefined && this.health !== 'hostile') {
      return `incomplete: ${metrics.incomplete.first.code} ${metrics.incomplete.first.path}`;
    }
    const isSettled = metrics.time.getTime() >= this.settledMs && !this.isEnding;
    for (const [quantity, least, most] of this.#bounds(isSettled)) {
      const value = metrics[quantity];
      if (value === undefined || value < least || value > most) {
        return `${quantity} ${String(value)}, not ${least === most ? '' : `${String(least)} to `}${String(most)}`;
      }
    }
    return undefined;
  }

  /**
   * The same for one number of a scrape, which is a double and may be of any earlier moment.
   *
   * @param {Quantity} quantity
   * @param {number} value
   */
  numberProblem(quantity, value) {
    for (const [each, least, most] of this.#bounds(!this.wasLate && !this.isEnding)) {
      if (each === quantity && (value < Number(least) || value > Number(most))) {
        return `${quantity} ${String(value)}, not ${String(least)} to ${String(most)}`;
      }
    }
    return undefined;
  }

  /**
   * Whether it may fail with a code now.
   *
   * @param {MetricsErrorCode} code
   */
  mayFailWith(code) {
    if (this.mayFail.includes(code)) return true;
    const isInMotion = this.isEnding || this.settledMs > Date.now();
    return isInMotion && ['METRICS_NOT_FOUND', 'METRICS_NOT_MOUNTED', 'METRICS_USAGE_FAILED'].includes(code);
  }

  /** @param {boolean} isSettled */
  *#bounds(isSettled) {
    const names = /** @type {Quantity[]} */ ([
      ...new Set([...Object.keys(this.exact), ...Object.keys(this.changing)]),
    ]);
    for (const quantity of names) {
      const exact = this.exact[quantity];
      const range = this.changing[quantity];
      if (exact !== undefined && (isSettled || range === undefined)) {
        yield /** @type {const} */ ([quantity, exact, exact]);
      } else if (range !== undefined) {
        yield /** @type {const} */ ([quantity, range[0], range[1]]);
      }
    }
  }
}
