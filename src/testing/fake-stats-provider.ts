import type { MetricsProvider } from '../metrics.js';
import { checkedOptions, checkedText } from '../options.js';
import { show } from '../reading.js';
import type { Pod, PodVolume, StatsProvider, VolumeMap } from '../stats/pod.js';

/** A volume of a {@link FakePod}. */
export interface FakeVolume {
  /**
   * Measures it. Without a provider the volume is in the pod's spec and not in the map, like one that is not
   * mounted yet.
   */
  readonly provider?: MetricsProvider | undefined;
  /**
   * What the pod's spec says about it besides its name: `{ persistentVolumeClaim: { claimName: 'data' } }`.
   */
  readonly spec?: Omit<PodVolume, 'name'> | undefined;
}

/** A pod for a test. */
export interface FakePod {
  readonly name: string;
  /** @defaultValue `'default'` */
  readonly namespace?: string | undefined;
  /** @defaultValue the pod's name followed by `-uid` */
  readonly uid?: string | undefined;
  /** Its volumes by name; a provider alone makes the volume an emptyDir. */
  readonly volumes?: Readonly<Record<string, MetricsProvider | FakeVolume>> | undefined;
}

/**
 * What a method of the provider does instead of answering: reject with `error`, or hang until this is
 * changed.
 */
export type FakeListing = { readonly error: unknown } | 'hang';

/**
 * A stats provider with the pods that it was given. Like real ones, it makes new pod objects and maps at
 * every call. It touches nothing on disk and works on every platform.
 */
export class FakeStatsProvider implements StatsProvider {
  readonly #pods = new Map<string, FakePod>();
  readonly #waiting = new Set<() => void>();
  #listing: FakeListing | undefined;
  #volumeListing = new Map<string, FakeListing>();
  #calls = 0;
  #volumeCalls = 0;

  /**
   * @param pods - the pods at the start
   * @throws TypeError unless they are a list of valid pods, as for {@link FakeStatsProvider.addPod}
   */
  constructor(pods: readonly FakePod[] = []) {
    if (!Array.isArray(pods)) throw new TypeError(`Expected pods to be a list, got ${show(pods)}`);
    for (const pod of pods as readonly FakePod[]) this.addPod(pod);
  }

  /** How often `getPods` has been called. */
  get calls(): number {
    return this.#calls;
  }

  /** How often `listVolumesForPod` has been called. */
  get volumeCalls(): number {
    return this.#volumeCalls;
  }

  /**
   * Adds a pod, or replaces the one with the same uid.
   *
   * @returns its uid
   * @throws TypeError for a pod or a volume with an unknown or invalid field
   */
  addPod(pod: FakePod): string {
    checkedOptions(pod, ['name', 'namespace', 'uid', 'volumes']);
    const uid = checkedText('uid', pod.uid ?? `${checkedText('name', pod.name)}-uid`);
    checkedText('namespace', pod.namespace ?? 'default');
    for (const [name, volume] of Object.entries(checkedObject('volumes', pod.volumes ?? {}))) {
      checkVolume(name, volume);
    }
    this.#pods.set(uid, pod);
    return uid;
  }

  /** Removes a pod. */
  removePod(uid: string): void {
    this.#pods.delete(uid);
  }

  /**
   * What `getPods` does from now on, undefined for answering. It applies to calls that hang too.
   *
   * @throws TypeError unless it is `{ error }`, `'hang'` or undefined
   */
  listPods(instead: FakeListing | undefined): void {
    this.#listing = checkedListing(instead);
    this.#goOn();
  }

  /**
   * What `listVolumesForPod` does for a pod from now on, undefined for answering. It applies to calls that
   * hang too.
   *
   * @throws TypeError unless it is `{ error }`, `'hang'` or undefined
   */
  listVolumes(uid: string, instead: FakeListing | undefined): void {
    const checked = checkedListing(instead);
    if (checked === undefined) this.#volumeListing.delete(uid);
    else this.#volumeListing.set(uid, checked);
    this.#goOn();
  }

  async getPods(): Promise<readonly Pod[]> {
    this.#calls += 1;
    await this.#obey(() => this.#listing);
    return [...this.#pods].map(([uid, { name, namespace = 'default', volumes = {} }]) => ({
      metadata: { uid, name, namespace },
      spec: {
        volumes: Object.entries(volumes).map(([volume, each]) => ({ name: volume, ...asVolume(each).spec })),
      },
    }));
  }

  async listVolumesForPod(uid: string): Promise<VolumeMap | undefined> {
    this.#volumeCalls += 1;
    await this.#obey(() => this.#volumeListing.get(uid));
    const pod = this.#pods.get(uid);
    if (pod === undefined) return undefined;
    return new Map(
      Object.entries(pod.volumes ?? {}).flatMap(([name, each]) => {
        const { provider } = asVolume(each);
        return provider === undefined ? [] : [[name, provider] as const];
      }),
    );
  }

  #goOn(): void {
    for (const wake of [...this.#waiting]) wake();
    this.#waiting.clear();
  }

  /** Returns when the method is to answer. */
  async #obey(instead: () => FakeListing | undefined): Promise<void> {
    for (;;) {
      const order = instead();
      if (order === undefined) return;
      if (order !== 'hang') throw order.error;
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }
}

function asVolume(volume: MetricsProvider | FakeVolume): FakeVolume {
  return 'getMetrics' in volume ? { provider: volume, spec: { emptyDir: {} } } : volume;
}

function checkedObject<T>(name: string, value: T): T & object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new TypeError(`Expected ${name} to be an object, got ${show(value)}`);
}

function checkVolume(name: string, volume: MetricsProvider | FakeVolume): void {
  checkedObject(`the volume ${JSON.stringify(name)}`, volume);
  if (!('getMetrics' in volume)) checkedOptions(volume, ['provider', 'spec']);
  const { provider, spec } = asVolume(volume);
  if (provider !== undefined && typeof (provider as Partial<MetricsProvider>)?.getMetrics !== 'function') {
    throw new TypeError(`Expected the provider of ${JSON.stringify(name)} to have a getMetrics method`);
  }
  checkedObject(`the spec of ${JSON.stringify(name)}`, spec ?? {});
}

function checkedListing(instead: FakeListing | undefined): FakeListing | undefined {
  if (instead === undefined || instead === 'hang') return instead;
  if ('error' in checkedObject('what a method does instead', instead)) return instead;
  throw new TypeError("Expected what a method does instead to be { error } or 'hang'");
}
