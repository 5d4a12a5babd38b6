import { MetricsError } from '../../errors.js';
import { escapeControls } from '../../escape.js';
import { CsiNodeClient } from '../../csi/index.js';
import { waitFor } from '../../waiting/joined-call.js';
import { NodeServiceCapability_RPC_Type as Capability } from '../../csi/v1/index.js';
import { askRegistration, type CsiDriver } from './registration.js';
import { registrySockets, socketIdentity } from './registry-sockets.js';

/** One socket in `plugins_registry`. */
interface Registration {
  readonly path: string;
  /** Changes when the socket is made anew. */
  readonly identity: string;
  asking: Promise<void> | undefined;
  driver: CsiDriver | undefined;
  problem: string | undefined;
}

/** How old the look at the sockets may be when a driver is missing, in milliseconds. */
const LOOK_AGAIN_MS = 1_000;

/** The part of a client that a provider uses. */
type VolumeReader = Pick<CsiNodeClient, 'readVolume'>;

/**
 * The CSI drivers of this node, found as the kubelet finds them: by the sockets in `plugins_registry`, each
 * asked what it is. A driver that has none there is looked for at `plugins/<driver>/csi.sock`. Each has one
 * client.
 */
export class CsiDrivers {
  readonly #root: () => string;
  readonly #registrations = new Map<string, Registration>();
  readonly #clients = new Map<string, CsiNodeClient>();
  #folderProblem: string | undefined;
  #lookedMs = -Infinity;
  #isClosed = false;

  /** @param root - gives the kubelet's root, without symlinks */
  constructor(root: () => string) {
    this.#root = root;
  }

  /** Looks at the sockets: asks those that are new, or gave no valid answer. Waits for none. */
  look(): void {
    if (this.#isClosed) return;
    this.#lookedMs = performance.now();
    const { sockets: found, problem } = registrySockets(`${this.#root()}/plugins_registry`);
    this.#folderProblem = problem;
    for (const path of this.#registrations.keys()) if (!found.has(path)) this.#registrations.delete(path);
    for (const [path, identity] of found) {
      let registration = this.#registrations.get(path);
      if (registration?.identity !== identity) {
        registration = { path, identity, asking: undefined, driver: undefined, problem: undefined };
        this.#registrations.set(path, registration);
      }
      if (registration.driver === undefined) registration.asking ??= ask(registration);
    }
  }

  /** Resolves when each socket has answered, failed, or run out of time. */
  async answered(): Promise<void> {
    await Promise.all([...this.#registrations.values()].flatMap(({ asking }) => asking ?? []));
  }

  /** The drivers that are registered now. Of two sockets that name the same driver, the first counts. */
  registered(): readonly CsiDriver[] {
    const byName = new Map<string, CsiDriver>();
    for (const { driver } of this.#registrations.values()) {
      if (driver !== undefined && !byName.has(driver.name)) byName.set(driver.name, driver);
    }
    return [...byName.values()];
  }

  /** What is wrong with the registrations, for people. */
  problems(): readonly string[] {
    const all = [...this.#registrations.values()];
    const sockets = all.flatMap(({ problem }) => problem ?? []);
    const byName = new Map(this.registered().map((each) => [each.name, each]));
    const doubles = all.flatMap(({ driver, path }) =>
      driver !== undefined && byName.get(driver.name) !== driver
        ? [`${escapeControls(path)} names the driver ${driver.name} once more, and is ignored`]
        : [],
    );
    return [...(this.#folderProblem === undefined ? [] : [this.#folderProblem]), ...sockets, ...doubles];
  }

  /**
   * Reads a volume of a driver, whether it is registered now or will be, over the driver's one client.
   *
   * @param staging - gives the path where the volume is staged, if it is
   */
  reader(driver: string, staging: () => string | undefined): VolumeReader {
    return {
      readVolume: async (volume, options) => {
        const client = this.#clientOf(await this.#find(driver, options?.signal));
        const stagingTargetPath = staging();
        if (stagingTargetPath === undefined) return await client.readVolume(volume, options);
        // CSI wants no staging path from a driver that does not stage. The client knows the capabilities.
        const capabilities = await client.nodeGetCapabilities(options);
        const isStaged = capabilities.has(Capability.STAGE_UNSTAGE_VOLUME);
        return await client.readVolume(isStaged ? { ...volume, stagingTargetPath } : volume, options);
      },
    };
  }

  /** Closes all clients: calls in flight and later ones reject. */
  close(): void {
    this.#isClosed = true;
    for (const client of this.#clients.values()) client.close();
  }

  async #find(name: string, signal: AbortSignal | undefined): Promise<CsiDriver> {
    const known = this.#registeredAs(name);
    if (known !== undefined) return known;
    if (performance.now() - this.#lookedMs > LOOK_AGAIN_MS) this.look();
    const asked = this.#nextAnswers(name);
    await waitFor(asked, { signal, late: () => undefined });
    const found = this.#registeredAs(name) ?? this.#byFolder(name);
    if (found !== undefined) return found;
    const problems = this.problems();
    const more = problems.length === 0 ? '' : ` (${problems.slice(0, 3).join('; ')})`;
    throw new MetricsError(
      'METRICS_NOT_FOUND',
      // The kubelet's text, kubernetes pkg/volume/csi/csi_client.go, and where to look.
      `driver name ${name} not found in the list of registered CSI drivers: no socket in ${escapeControls(this.#root())}/plugins_registry names it${more}. Check that the driver's pod runs on this node`,
    );
  }

  /** Waits for the sockets that have not answered, but no longer than until one of them is this driver. */
  async #nextAnswers(name: string): Promise<void> {
    const waiting = new Set([...this.#registrations.values()].flatMap(({ asking }) => asking ?? []));
    while (waiting.size > 0 && this.#registeredAs(name) === undefined) {
      await Promise.race([...waiting].map((each) => each.then(() => waiting.delete(each))));
    }
  }

  #registeredAs(name: string): CsiDriver | undefined {
    for (const { driver } of this.#registrations.values()) if (driver?.name === name) return driver;
    return undefined;
  }

  #byFolder(name: string): CsiDriver | undefined {
    const endpoint = `${this.#root()}/plugins/${name}/csi.sock`;
    return socketIdentity(endpoint) === undefined ? undefined : { name, endpoint };
  }

  #clientOf({ name, endpoint }: CsiDriver): CsiNodeClient {
    let client = this.#clients.get(name);
    if (client?.endpoint !== endpoint) {
      client?.close();
      client = new CsiNodeClient(endpoint);
      if (this.#isClosed) client.close();
      this.#clients.set(name, client);
    }
    return client;
  }
}

async function ask(registration: Registration): Promise<void> {
  const answer = await askRegistration(registration.path);
  registration.asking = undefined;
  registration.driver = answer.driver;
  registration.problem = answer.problem;
}
