// @ts-check
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimedVolume, mountedVolume, scratchVolume } from './volumes.mjs';

/** @typedef {import('kube-volume-metrics').StatsProvider} StatsProvider */
/** @typedef {import('./volume.mjs').Volume} Volume */

export const NAMESPACE = 'soak';

/** How many pods that are gone are remembered: answers that are on their way may still tell of them. */
const REMEMBERED = 30;

/** @typedef {{ uid: string, name: string, volumes: ReadonlyMap<string, Volume> }} SoakPod */

/**
 * The pods of the node, which come and go. Like a real stats provider, it takes a moment and makes new
 * objects at each call.
 *
 * @implements {StatsProvider}
 */
export class Pods {
  /** @type {Map<string, SoakPod>} */
  #pods = new Map();
  /** @type {SoakPod[]} */
  #gone = [];
  /** The uids that the newest answer of getPods had, and the one before it. */
  #newest = new Set();
  #previous = new Set();
  #random;

  /** @param {import('./random.mjs').Random} random */
  constructor(random) {
    this.#random = random;
  }

  /** @param {string} name @param {readonly Volume[]} volumes */
  add(name, volumes) {
    const pod = { uid: `${name}-uid`, name, volumes: new Map(volumes.map((each) => [each.name, each])) };
    this.#pods.set(pod.uid, pod);
    return pod;
  }

  /** @param {SoakPod} pod */
  remove(pod) {
    this.#pods.delete(pod.uid);
    for (const volume of pod.volumes.values()) volume.isEnding = true;
    this.#gone.unshift(pod);
    this.#gone.length = Math.min(this.#gone.length, REMEMBERED);
  }

  async getPods() {
    await sleep(this.#random.between(0, 30));
    this.#previous = this.#newest;
    this.#newest = new Set(this.#pods.keys());
    return [...this.#pods.values()].map(({ uid, name, volumes }) => ({
      metadata: { uid, name, namespace: NAMESPACE },
      spec: { volumes: [...volumes.values()].map((each) => ({ name: each.name, ...each.spec })) },
    }));
  }

  /** @param {string} uid */
  async listVolumesForPod(uid) {
    await sleep(this.#random.between(0, 10));
    const volumes = this.#pods.get(uid)?.volumes;
    return volumes && new Map([...volumes].map(([name, { provider }]) => [name, provider]));
  }

  /** @returns {SoakPod[]} those that are there */
  all() {
    return [...this.#pods.values()];
  }

  /**
   * The pods that every answer of the analyzer must contain now. The analyzer asks again only when it has
   * processed the previous list, so it knows the pods that both lists contained.
   *
   * @returns {SoakPod[]}
   */
  expected() {
    return this.all().filter(({ uid }) => this.#newest.has(uid) && this.#previous.has(uid));
  }

  /**
   * Whether an answer may have a pod now.
   *
   * @param {string} uid
   */
  mayShow(uid) {
    return this.#newest.has(uid) || this.#previous.has(uid);
  }

  /**
   * A pod that is there, or was until lately.
   *
   * @param {string} name
   */
  named(name) {
    return this.#pods.get(`${name}-uid`) ?? this.#gone.find((each) => each.name === name);
  }

  /**
   * The volume with a claim, which may be gone since lately.
   *
   * @param {string} claim
   * @returns {Volume | undefined}
   */
  claimed(claim) {
    for (const { volumes } of [...this.#pods.values(), ...this.#gone]) {
      for (const volume of volumes.values()) if (volume.claim === claim) return volume;
    }
    return undefined;
  }
}

/** Makes pods with a volume of each kind, and takes them away with all they had. */
export class PodMaker {
  #workplace;
  #disk;
  #pods;
  #client;
  #random;
  /** How many pods were made. */
  count = 0;

  /**
   * @param {object} parts
   * @param {import('./workplace.mjs').Workplace} parts.workplace
   * @param {string} parts.disk where trees lie
   * @param {Pods} parts.pods
   * @param {import('kube-volume-metrics/csi').CsiNodeClient} parts.client
   * @param {import('./random.mjs').Random} parts.random
   */
  constructor({ workplace, disk, pods, client, random }) {
    this.#workplace = workplace;
    this.#disk = disk;
    this.#pods = pods;
    this.#client = client;
    this.#random = random;
  }

  /**
   * A new pod. Its filesystem may be mounted only after the pod was listed, as the kubelet may find it.
   *
   * @returns {Promise<() => Promise<void>>} takes it away
   */
  async make() {
    const number = (this.count += 1);
    const tree = join(this.#disk, `scratch-${String(number)}`);
    const mountPoint = join(this.#workplace.directory, 'mounts', String(number));
    const { volume: mounted, mount } = mountedVolume(mountPoint, number, this.#workplace);
    const scratch = await scratchVolume(tree, number, this.#random);
    mounted.wasLate = this.#random.chance(0.5);
    if (!mounted.wasLate) await mount();
    const pod = this.#pods.add(`pod-${String(number)}`, [
      scratch,
      mounted,
      claimedVolume(number, this.#client),
    ]);
    if (mounted.wasLate) {
      await sleep(this.#random.between(0, 600));
      await mount();
    }
    return async () => {
      // Not everybody has heard of it when its volumes go.
      this.#pods.remove(pod);
      await this.#workplace.unmount(mountPoint);
      await rm(mountPoint, { recursive: true });
      await rm(tree, { recursive: true });
    };
  }

  /**
   * Pods that live for a while, one after the other, until the soak ends.
   *
   * @param {import('./scene.mjs').Clock} clock
   */
  async comeAndGo(clock) {
    while (!clock.isOver) {
      const takeAway = await this.make();
      await clock.pause(this.#random.between(1_000, 12_000));
      await takeAway();
    }
  }
}
