// @ts-check
import diagnostics from 'node:diagnostics_channel';
import { isMetricsError, isTransient } from 'kube-volume-metrics';

/** @typedef {import('kube-volume-metrics').CollectMessage} CollectMessage */
/** @typedef {import('kube-volume-metrics').PodVolumeStats} PodVolumeStats */
/** @typedef {import('./volume.mjs').Volume} Volume */

const CHANNEL = 'kube-volume-metrics:collect';
const LOOK_MS = 200;

/** Looks at each attempt of the analyzer, and again and again at its whole answer. */
export class Watch {
  #analyzer;
  #pods;
  #findings;
  #tallies;
  #onAttempt = (/** @type {unknown} */ message) => {
    this.#attempted(/** @type {CollectMessage} */ (message));
  };

  /**
   * @param {object} parts
   * @param {import('kube-volume-metrics').FsResourceAnalyzer} parts.analyzer
   * @param {import('./pods.mjs').Pods} parts.pods
   * @param {import('./findings.mjs').Findings} parts.findings
   * @param {Record<'readings' | 'failures', import('./findings.mjs').Tally>} parts.tallies
   */
  constructor({ analyzer, pods, findings, tallies }) {
    this.#analyzer = analyzer;
    this.#pods = pods;
    this.#findings = findings;
    this.#tallies = tallies;
    diagnostics.subscribe(CHANNEL, this.#onAttempt);
  }

  /** @param {import('./scene.mjs').Clock} clock */
  async look(clock) {
    while (!clock.isOver) {
      this.#complete();
      await clock.pause(LOOK_MS);
    }
  }

  close() {
    diagnostics.unsubscribe(CHANNEL, this.#onAttempt);
  }

  /**
   * Healthy volumes without a reading that began after a moment.
   *
   * @param {number} sinceMs on the clock of `Date.now()`
   * @param {(volume: Volume) => boolean} isWanted
   * @returns {string[]}
   */
  unread(sinceMs, isWanted) {
    return this.#pods.all().flatMap(({ uid, name, volumes }) => {
      const known = volumesOf(this.#analyzer.getPodVolumeStats(uid));
      return [...volumes.values()].filter(isWanted).flatMap((volume) => {
        const stats = known.find((each) => each.name === volume.name);
        if ((stats?.metrics?.time.getTime() ?? -Infinity) >= sinceMs) return [];
        return [`${name}/${volume.name}: ${stats?.state ?? 'not known'} ${stats?.error?.message ?? ''}`];
      });
    });
  }

  /** @param {CollectMessage} message */
  #attempted({ podRef, volume: stats }) {
    const volume = this.#pods.named(podRef.name)?.volumes.get(stats.name);
    const title = `${podRef.name}/${stats.name}`;
    if (volume === undefined) {
      this.#findings.add('a volume that nobody asked about', title);
    } else if (stats.state === 'ok' && stats.metrics !== undefined) {
      this.#tallies.readings.add(`of ${volume.health} ${stats.provider}`);
      const problem = volume.problem(stats.metrics);
      if (problem !== undefined) this.#findings.add('wrong value', `${title}: ${problem}`);
    } else {
      this.#failed(title, volume, stats.error);
    }
  }

  /** @param {string} title @param {Volume} volume @param {unknown} error */
  #failed(title, volume, error) {
    if (!isMetricsError(error)) {
      this.#findings.add('a failure without a code', `${title}: ${String(error)}`);
      return;
    }
    this.#tallies.failures.add(`${error.code} of ${volume.health} ${volume.provider.name}`);
    const text = `${title}: ${error.code}: ${error.message}`;
    if (!volume.mayFailWith(error.code)) this.#findings.add('failure of a healthy volume', text);
    if (volume.name === 'claimed' && !isTransient(error)) {
      this.#findings.add('a lost driver that is not transient', text);
    }
  }

  /** The answer has each volume that was asked about, once, and no other. */
  #complete() {
    const answer = this.#analyzer.podVolumeStats();
    const byUid = new Map(answer.map((each) => [each.podRef.uid, each]));
    if (byUid.size !== answer.length) this.#findings.add('a pod twice', String(answer.length));
    for (const { podRef } of answer) {
      if (!this.#pods.mayShow(podRef.uid)) this.#findings.add('a pod that is gone', podRef.name);
    }
    for (const { uid, name, volumes } of this.#pods.expected()) {
      const known = volumesOf(byUid.get(uid));
      const names = known.map((each) => each.name);
      const wanted = [...volumes.keys()];
      if (String(names.sort()) !== String(wanted.sort())) {
        this.#findings.add(
          'an answer that is not complete',
          `${name}: ${String(names)}, not ${String(wanted)}`,
        );
      }
      for (const { name: volume, metrics } of known) {
        const problem = metrics && volumes.get(volume)?.problem(metrics);
        if (problem !== undefined) this.#findings.add('wrong value', `${name}/${volume}: ${problem}`);
      }
    }
  }
}

/** @param {PodVolumeStats | undefined} stats */
function volumesOf(stats) {
  return stats === undefined ? [] : [...stats.ephemeralVolumes, ...stats.persistentVolumes];
}
