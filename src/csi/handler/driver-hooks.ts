import { status } from '@grpc/grpc-js';
import type { MetricsProvider } from '../../metrics.js';
import { callListener, checkedFlag, checkedFunction, checkedMs } from '../../options.js';
import type { Deadline } from '../../waiting/deadline.js';
import type { VolumeHealth_VolumeHealthEntry as Entry } from '../gen/csi/v1/csi.js';
import type { CsiVolume } from '../messages/csi-volume.js';
import { serviceError } from '../messages/grpc-status.js';
import { volumeEntries, type VolumeProblem } from '../messages/health.js';
import { HookCalls, JoinedHook } from './hook-calls.js';
import type { Codec } from './unary-handler.js';

/**
 * Options of `nodeGetVolumeStats` and `nodeGetVolumeHealth`: a driver gives the same to both. An error that a
 * hook throws is answered with INTERNAL and without its text, unless it is a MetricsError or has a gRPC
 * `code` and `details`.
 */
export interface NodeGetVolumeStatsOptions<Form extends Codec = Codec> {
  /**
   * Whether the driver has such a volume; false or undefined is answered with NOT_FOUND. Without this hook
   * the path alone decides, so that volumes that the driver did not provision have numbers too. Callers that
   * ask for the same volume and paths at the same time share one call.
   */
  readonly knownVolume?: ((volume: CsiVolume) => boolean | Promise<boolean>) | undefined;
  /**
   * Gives the provider that measures a volume. Without this hook, or if it gives undefined, a directory is
   * measured by statfs and a block device by its size. With a provider, the path itself is looked at only for
   * `requireMount` and for the health. NodeGetVolumeHealth does not measure.
   */
  readonly providerFor?:
    ((volume: CsiVolume) => MetricsProvider | undefined | Promise<MetricsProvider | undefined>) | undefined;
  /**
   * Whether a directory that nothing is mounted on is answered with NOT_FOUND (in NodeGetVolumeHealth: left
   * alone). Set it in a driver whose volumes are mounts: otherwise an unmounted volume reads as the host's
   * filesystem.
   *
   * @defaultValue `false`
   */
  readonly requireMount?: boolean | undefined;
  /**
   * What is wrong with a volume, for both calls: a list of problems, empty for a healthy volume. With
   * undefined, what is at the path decides: a filesystem that was shut down or went read-only after an error,
   * a broken mount and a volume that does not answer are INACCESSIBLE. `true` is short for a function that
   * always gives undefined.
   *
   * NodeGetVolumeHealth always answers with the problems. NodeGetVolumeStats answers with them, as a
   * condition for callers up to CSI 1.12, only if this is a function or true; the driver then advertises
   * {@link conditionCapability} too. A volume that does not answer, or whose mount is broken, is then
   * answered as abnormal with its last known numbers instead of an error.
   *
   * A volume's calls are never made twice at a time: later callers join. If the function fails or takes more
   * than half of `timeoutMs`, the numbers are sent without a condition. NodeGetVolumeHealth then answers
   * INACCESSIBLE if the error is a MetricsError about a broken or stuck mount, and otherwise with the error.
   *
   * @defaultValue `false`
   */
  readonly health?:
    | boolean
    | ((
        volume: CsiVolume,
        options: { signal: AbortSignal },
      ) => readonly VolumeProblem[] | undefined | Promise<readonly VolumeProblem[] | undefined>)
    | undefined;
  /**
   * Milliseconds for which later callers get the same reading. With 0, only a measurement in flight is
   * shared. If it is more, call `forget` in NodeUnpublishVolume.
   *
   * @defaultValue 0
   */
  readonly maxAgeMs?: number | undefined;
  /**
   * Milliseconds after which a caller is answered with DEADLINE_EXCEEDED (or an abnormal condition). A caller
   * with an earlier deadline is answered shortly before it, so that it learns the reason. The measurement
   * goes on, and the next call joins it.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /** Told of each failure, for the driver's log: clients only see a status. What it throws is ignored. */
  readonly onError?: ((error: unknown, volume: CsiVolume) => void) | undefined;
  /**
   * The form of the server's messages: `'ts-proto'` is this package's generated code, `'proto-loader'` is
   * `@grpc/proto-loader` with `keepCase: true`.
   *
   * @defaultValue `'ts-proto'`
   */
  readonly codec?: Form | undefined;
}

export const OPTION_NAMES = [
  'knownVolume',
  'providerFor',
  'requireMount',
  'health',
  'maxAgeMs',
  'timeoutMs',
  'onError',
  'codec',
] as const;

export const DEFAULT_TIMEOUT_MS = 10_000;

/** What both handlers ask the driver. */
export class DriverHooks {
  readonly timeoutMs: number;
  readonly requireMount: boolean;
  readonly #options: NodeGetVolumeStatsOptions;
  readonly #known = new JoinedHook<boolean>();
  readonly #calls: HookCalls<readonly VolumeProblem[] | undefined>;

  /**
   * @param healthShare - the part of `timeoutMs` that `health` has
   * @throws TypeError for an invalid option
   */
  constructor(options: NodeGetVolumeStatsOptions, healthShare: number) {
    const { knownVolume, providerFor, onError, health = false } = options;
    for (const [name, hook] of Object.entries({ knownVolume, providerFor, onError }))
      checkedFunction(name, hook);
    if (typeof health !== 'boolean' && typeof health !== 'function') {
      throw new TypeError(`Expected health to be a boolean or a function, got ${typeof health}`);
    }
    this.#options = options;
    this.timeoutMs = checkedMs('timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS);
    this.requireMount = checkedFlag('requireMount', options.requireMount);
    this.#calls = new HookCalls(this.timeoutMs * healthShare);
  }

  /** @throws ServiceError NOT_FOUND, DEADLINE_EXCEEDED; what the hook throws */
  async requireKnown(volume: CsiVolume, deadline: Deadline): Promise<void> {
    const { knownVolume } = this.#options;
    if (knownVolume === undefined) return;
    const isKnown = this.#known.join(keyOf(volume), async () => await knownVolume(volume));
    const undecided = (): never => {
      // Says nothing about the volume. A MetricsError could become a verdict on it.
      throw serviceError(
        status.DEADLINE_EXCEEDED,
        `the driver did not find out in time whether volume ${volume.volumeId} exists`,
      );
    };
    if (!(await deadline.wait(isKnown, undecided))) {
      throw serviceError(status.NOT_FOUND, `no volume ${volume.volumeId}`);
    }
  }

  /**
   * What the driver says is wrong with a volume; undefined if what is at its path decides.
   *
   * @throws MetricsError METRICS_TIMED_OUT, METRICS_PROVIDER_FAILED for an invalid list; what the hook throws
   */
  async problems(volume: CsiVolume): Promise<readonly Entry[] | undefined> {
    const { health } = this.#options;
    if (typeof health !== 'function') return undefined;
    const problems = await this.#calls.call(keyOf(volume), volume.volumeId, (signal) =>
      health(volume, { signal }),
    );
    return problems === undefined ? undefined : volumeEntries(problems);
  }

  tell(error: unknown, volume: CsiVolume): void {
    // A log that fails must not cost a caller its answer.
    void callListener(this.#options.onError, [error, volume]);
  }
}

function keyOf({ volumeId, volumePath, stagingTargetPath }: CsiVolume): string {
  return JSON.stringify([volumeId, volumePath, stagingTargetPath]);
}
