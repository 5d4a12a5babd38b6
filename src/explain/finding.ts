import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { Answer } from './answer.js';

/** The chain from a dashboard's query down to the volume, in this order. */
export const STAGES = [
  'dashboard',
  'series',
  'prometheus',
  'target',
  'service',
  'kubelet-metrics',
  'kubelet-summary',
  'analyzer',
  'pod',
  'provider',
  'disk',
  'csi',
  'number',
] as const;

export type Stage = (typeof STAGES)[number];

/**
 * What a stage found:
 *
 * | verdict | meaning |
 * |---|---|
 * | `ok` | the number passes here |
 * | `cause` | the number is lost here, or is odd because of this |
 * | `unknown` | it could not be found out: a right is missing, or there was no answer |
 * | `skipped` | there is nothing to judge here: the number is lost nearer to the volume, or the stage does not apply |
 */
export type Verdict = 'ok' | 'cause' | 'unknown' | 'skipped';

/** What one stage found about one volume. In texts, control characters are escaped. */
export interface Finding {
  readonly stage: Stage;
  readonly verdict: Verdict;
  /** What was seen: a sentence, with the observed value. */
  readonly evidence: string;
  /** What to do: a sentence. Absent if there is nothing to do here. */
  readonly fix?: string;
  /** The same for programs. Texts are as they came. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Why a volume has a number, or none. In texts, control characters are escaped. */
export interface VolumeExplanation {
  readonly namespace: string;
  /** Absent if no pod on this node uses the claim. */
  readonly pod?: string;
  /** Its name in the pod. */
  readonly volume?: string;
  readonly claim?: PersistentVolumeClaimRef;
  /**
   * `exported`: the number arrives where it was looked for, in Prometheus or, if that was not asked, at the
   * kubelet. `missing`: it does not. `unknown`: that could not be found out.
   */
  readonly result: 'exported' | 'missing' | 'unknown';
  /** One sentence: the cause nearest to the volume, or what is not known. */
  readonly cause: string;
  /** One sentence: what to do; empty if nothing. */
  readonly remedy: string;
  /** One for each stage, in the order of {@link STAGES}. */
  readonly findings: readonly Finding[];
}

type Unanswered = Exclude<Answer<unknown>, { readonly state: 'answered' }>;

// What several stages say.
export const NO_PROMETHEUS = 'no Prometheus was given';
export const NO_POD_HERE = 'no pod of this node is known to use the volume';
export const POD_NOT_RUNNING = 'no container of the pod runs';
export const CHECK_PROMETHEUS = 'Check the URL and the credentials of Prometheus.';
export const CHECK_KUBELET = 'Give a kubelet to ask: its endpoint, and credentials that it knows.';
export const GIVE_CLAIMS = 'Give the right to get claims and PersistentVolumes.';

/** Makes the findings of one stage. */
export class Judge {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  ok(evidence: string, data: Finding['data'] = {}): Finding {
    return { stage: this.#stage, verdict: 'ok', evidence, data };
  }

  skipped(evidence: string, data: Finding['data'] = {}): Finding {
    return { stage: this.#stage, verdict: 'skipped', evidence, data };
  }

  cause(evidence: string, fix: string, data: Finding['data'] = {}): Finding {
    return { stage: this.#stage, verdict: 'cause', evidence, fix, data };
  }

  /** Every unknown says what is needed to know more. */
  unknown(evidence: string, fix: string, data: Finding['data'] = {}): Finding {
    return { stage: this.#stage, verdict: 'unknown', evidence, fix, data };
  }

  /**
   * What cannot be judged without an answer. What to do is said with the answer, or else by `fix`.
   *
   * @param evidence - a sentence around the problem; by default the problem itself
   */
  unanswered(
    answer: Unanswered,
    fix: string,
    evidence = answer.problem,
    data: Finding['data'] = {},
  ): Finding {
    if (answer.state === 'not asked') return this.unknown(evidence, fix, data);
    const { rule, code } = answer;
    return this.unknown(evidence, answer.fix ?? fix, {
      ...data,
      ...(rule !== undefined && { rule }),
      ...(code !== undefined && { code }),
    });
  }
}
