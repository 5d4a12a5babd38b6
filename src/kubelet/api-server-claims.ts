import { checkedOptions, checkedSignal, checkedText } from '../options.js';
import { errorText } from '../errors.js';
import { throwIfAborted } from '../waiting/abort.js';
import { JoinedCall } from '../waiting/joined-call.js';
import type { ApiClient } from './api-client.js';
import { isPathComponent, objectOf, quoted } from './checked-json.js';
import { claimFromJson, volumeFromJson } from './claim-from-json.js';
import { KubeletError } from './kubelet-error.js';
import type { Claim, ClaimOptions, ClaimSource, PersistentVolume } from './sources.js';

const OPTIONS = ['signal', 'podUid'] as const;

/** More pods with claims than any node has. The least recently bound are forgotten first. */
const MOST_KEPT = 10_000;

/**
 * Claims and their PersistentVolumes, as the API server knows them: each by name. It needs the right to get
 * both, and none to list them.
 *
 * A claim that a pod uses cannot be replaced. So the answer for a pod is kept once the claim is bound and its
 * volume known, and so is a volume, by the claim's uid. Everything else is asked for each time.
 *
 * @param api - asks the API server
 */
export function apiServerClaims(api: ApiClient): ClaimSource {
  return new ApiServerClaims(api);
}

class ApiServerClaims implements ClaimSource {
  readonly name: string;
  readonly #api: ApiClient;
  /** Bound claims, by pod, namespace and name. */
  readonly #claims = new Map<string, Claim>();
  /** Their volumes, by the uid of the claim. */
  readonly #volumes = new Map<string, PersistentVolume>();
  readonly #inFlight = new Map<string, JoinedCall<Claim | undefined>>();

  constructor(api: ApiClient) {
    this.#api = api;
    this.name = api.name;
  }

  async claim(namespace: string, name: string, options: ClaimOptions = {}): Promise<Claim | undefined> {
    const { signal, podUid } = checkedOptions(options, OPTIONS);
    checkedSignal(signal);
    if (podUid !== undefined) checkedText('podUid', podUid);
    for (const [what, text] of Object.entries({ namespace, name })) {
      if (!isPathComponent(checkedText(what, text)))
        throw new TypeError(`Expected ${what} to be a name of Kubernetes, got ${quoted(text)}`);
    }
    throwIfAborted(signal);
    const key = JSON.stringify([podUid, namespace, name]);
    const kept = podUid === undefined ? undefined : this.#claims.get(key);
    if (kept !== undefined) return kept;
    let call = this.#inFlight.get(key);
    if (call === undefined || call.isAbandoned) {
      const started = new JoinedCall((end) => this.#ask(namespace, name, end));
      call = started;
      this.#inFlight.set(key, started);
      const over = (): void => {
        if (this.#inFlight.get(key) === started) this.#inFlight.delete(key);
      };
      started.answer.then(over, over);
    }
    // Each request has the client's own time limit.
    const claim = await call.join({ signal, late: () => undefined });
    if (podUid !== undefined && claim?.volume !== undefined) keep(this.#claims, key, claim);
    return claim;
  }

  async #ask(namespace: string, name: string, signal: AbortSignal): Promise<Claim | undefined> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/persistentvolumeclaims/${encodeURIComponent(name)}`;
    const found = await this.#api.get(path, { signal });
    if (found === undefined) return undefined;
    const claim = claimFromJson(objectOf(found) ?? {});
    if (claim?.namespace !== namespace || claim.name !== name) {
      throw new KubeletError(
        'API_BAD_ANSWER',
        `${this.name} answered ${path} with something that is not this claim`,
      );
    }
    if (claim.phase !== 'Bound' || claim.volumeName === undefined) return claim;
    const volume = this.#volumes.get(claim.uid) ?? (await this.#volume(claim, claim.volumeName, signal));
    if (typeof volume === 'string') return { ...claim, volumeProblem: volume };
    if (volume.name !== claim.volumeName)
      return { ...claim, volumeProblem: 'the claim was bound to another volume' };
    keep(this.#volumes, claim.uid, volume);
    return { ...claim, volume };
  }

  /** @returns the volume, or why it is not known */
  async #volume(claim: Claim, name: string, signal: AbortSignal): Promise<PersistentVolume | string> {
    try {
      const found = await this.#api.get(`/api/v1/persistentvolumes/${encodeURIComponent(name)}`, { signal });
      if (found === undefined) return `there is no PersistentVolume ${quoted(name)}`;
      return volumeFromJson(objectOf(found) ?? {}, claim);
    } catch (error) {
      throwIfAborted(signal);
      // Of our own KubeletError, in which texts of the server are escaped.
      return errorText(error);
    }
  }
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > MOST_KEPT && oldest.done !== true) map.delete(oldest.value);
}
