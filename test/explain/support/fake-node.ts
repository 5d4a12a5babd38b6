import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explain, type Explanation } from '../../../src/explain/explain.js';
import type { ExplainOptions } from '../../../src/explain/explain-options.js';
import type { Finding, Stage, VolumeExplanation } from '../../../src/explain/finding.js';
import { ApiClient } from '../../../src/kubelet/api-client.js';
import { KubeletClient } from '../../../src/kubelet/kubelet-client.js';
import { FakeCsiDriver } from '../../../src/testing/csi/index.js';
import {
  FakeApiServer,
  FakeKubelet,
  makeKubeletRoot,
  type FakeRule,
  type KubeletRoot,
} from '../../../src/testing/kubelet/index.js';
import { FakeRegistration } from '../../kubelet/support/fake-registration.js';

export const NODE = 'node1';
export const DRIVER = 'fake.csi.example';
export const USER = 'system:serviceaccount:monitoring:explain';
const KUBELET_RIGHTS = ['nodes/pods', 'nodes/stats', 'nodes/metrics', 'nodes/configz'];

/** A claim of the namespace shop with its pod, as {@link FakeNode} lays it out. */
export interface FakeClaim {
  readonly name: string;
  /** The source in the PersistentVolume. @defaultValue a volume of the CSI driver */
  readonly source?: Readonly<Record<string, unknown>>;
  /** @defaultValue Running, with a running container, started an hour ago */
  readonly status?: Readonly<Record<string, unknown>>;
  /** @defaultValue this node */
  readonly nodeName?: string;
  /** Whether the kubelet has numbers. @defaultValue `true` */
  readonly hasNumbers?: boolean;
  /** Which ones: a part of the entry in its summary. */
  readonly numbers?: { readonly capacityBytes?: number; readonly time?: string };
  /** Whether the same directory is mounted for it as for others. @defaultValue `false` */
  readonly sharedDirectory?: boolean;
  /** What is mounted for it. @defaultValue a tmpfs of its own */
  readonly directory?: string;
  /** The claim whose pod uses this one too; there the volume has the name of the claim. */
  readonly withPodOf?: string;
  /** A volume of the pod's own, such as `{ gitRepo: {} }`, instead of the claim. */
  readonly inline?: Readonly<Record<string, unknown>>;
  /** Whether there is a pod. @defaultValue `true` */
  readonly hasPod?: boolean;
}

const HOUR_MS = 3_600_000;
const CAPACITY = 100;

/**
 * A node with a kubelet, an API server, a disk and a CSI driver, all of them real servers and folders on this
 * machine. The volumes' folders are there, and nothing is mounted unless the test runs as root.
 */
export class FakeNode {
  readonly kubelet: FakeKubelet;
  readonly api: FakeApiServer;
  readonly driver: FakeCsiDriver;
  readonly root: KubeletRoot;
  readonly #folder: string;
  readonly #tokens: { readonly kubelet: string; readonly api: string };
  #registration: FakeRegistration | undefined;
  readonly #clients: { close(): void }[] = [];

  private constructor(parts: {
    kubelet: FakeKubelet;
    api: FakeApiServer;
    driver: FakeCsiDriver;
    root: KubeletRoot;
    folder: string;
    tokens: { kubelet: string; api: string };
  }) {
    ({ kubelet: this.kubelet, api: this.api, driver: this.driver, root: this.root } = parts);
    this.#folder = parts.folder;
    this.#tokens = parts.tokens;
  }

  static async start(claims: readonly FakeClaim[], mount?: boolean): Promise<FakeNode> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-explain-')));
    const shared = join(folder, 'shared');
    mkdirSync(shared);
    const user = { name: USER };
    const kubelet = await FakeKubelet.start({
      tokens: { secret: user },
      rules: [{ subject: USER, resources: KUBELET_RIGHTS }],
    });
    const api = await FakeApiServer.start({
      tokens: { secret: user },
      rules: [{ subject: USER, resources: ['*'] }],
      kubelets: { [NODE]: kubelet },
      objects: {
        csinodes: [{ metadata: { name: NODE }, spec: { drivers: [{ name: DRIVER }] } }],
        pods: podsOf(claims.filter(({ hasPod = true }) => hasPod)),
        persistentvolumeclaims: claims.filter(({ inline }) => inline === undefined).map(claimOf),
        persistentvolumes: claims.filter(({ inline }) => inline === undefined).map(volumeOf),
      },
    });
    const here = claims.filter(({ hasPod = true, nodeName = NODE }) => hasPod && nodeName === NODE);
    const root = makeKubeletRoot(join(folder, 'kubelet'), podsOf(here), {
      persistentVolumes: claims.map(volumeOf),
      sources: Object.fromEntries(
        claims.flatMap(
          ({ name, sharedDirectory, directory = sharedDirectory === true ? shared : undefined }) =>
            directory === undefined ? [] : [[`pv-${name}`, directory]],
        ),
      ),
      ...(mount !== undefined && { mount }),
    });
    const driver = await FakeCsiDriver.start();
    const tokens = { kubelet: await kubelet.tokenFile('secret'), api: await api.tokenFile('secret') };
    const node = new FakeNode({ kubelet, api, driver, root, folder, tokens });
    await node.register();
    node.serve(here);
    return node;
  }

  /** The kubelet knows these pods, and has numbers of those that have them. */
  serve(claims: readonly FakeClaim[]): void {
    const withNumbers = claims.filter(({ hasNumbers = true }) => hasNumbers);
    this.kubelet.bodies.pods = podList(podsOf(claims));
    this.kubelet.bodies['stats/summary'] = {
      node: { nodeName: NODE },
      pods: byPod(claims).map((each) => summaryOf(each)),
    };
    const exported = withNumbers.filter(({ inline }) => inline === undefined);
    this.kubelet.bodies.metrics = metricsOf(exported);
  }

  /** Registers the driver with the kubelet, as its sidecar does. */
  async register(): Promise<void> {
    const path = join(this.root.rootDir, 'plugins_registry', `${DRIVER}-reg.sock`);
    const endpoint = this.driver.endpoint.replace('unix://', '');
    this.#registration = await FakeRegistration.start(path, { name: DRIVER, endpoint });
  }

  async unregister(): Promise<void> {
    await this.#registration?.stop();
    this.#registration = undefined;
  }

  /** Takes a right away, or gives all back. */
  allowKubelet(rules: readonly FakeRule[] = [{ subject: USER, resources: KUBELET_RIGHTS }]): void {
    this.kubelet.users.rules = rules;
  }

  /** @param options - of the kubelet's client */
  doors(
    options: { readonly timeoutMs?: number } = {},
  ): Required<Pick<ExplainOptions, 'node' | 'kubelet' | 'api'>> {
    const kubelet = new KubeletClient({
      endpoint: this.kubelet.endpoint,
      auth: { type: 'serviceAccount', tokenFile: this.#tokens.kubelet },
      pinnedCertificateFile: this.kubelet.certificateFile,
      ...options,
    });
    const api = new ApiClient({
      endpoint: this.api.endpoint,
      auth: { type: 'serviceAccount', tokenFile: this.#tokens.api },
      caFile: this.api.caFile,
    });
    this.#clients.push(kubelet, api);
    return { node: { rootDir: this.root.rootDir }, kubelet, api };
  }

  /** The same doors as options of the command line, but for the API server, which takes kubectl. */
  args(): readonly string[] {
    return [
      ...['--root', this.root.rootDir, '--kubelet', this.kubelet.endpoint],
      ...['--token-file', this.#tokens.kubelet, '--pinned-cert', this.kubelet.certificateFile],
    ];
  }

  /** Explains with all doors but those that are given otherwise. */
  async explain(options: ExplainOptions = {}): Promise<Explanation> {
    return await explain({ ...this.doors(), ...options });
  }

  /** Explains one claim of the namespace shop. */
  async one(name: string, options: ExplainOptions = {}): Promise<VolumeExplanation> {
    const { volumes } = await this.explain({ ...options, claim: { namespace: 'shop', name } });
    if (volumes[0] === undefined || volumes.length > 1) throw new Error(`got ${JSON.stringify(volumes)}`);
    return volumes[0];
  }

  async stop(): Promise<void> {
    for (const each of this.#clients) each.close();
    await this.unregister();
    await this.driver.stop();
    await this.kubelet.stop();
    await this.api.stop();
    this.root.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The stages with this verdict. */
export function stagesWith({ findings }: VolumeExplanation, verdict: Finding['verdict']): readonly Stage[] {
  return findings.filter((each) => each.verdict === verdict).map(({ stage }) => stage);
}

export function findingOf({ findings }: VolumeExplanation, stage: Stage): Finding {
  const found = findings.find((each) => each.stage === stage);
  if (found === undefined) throw new Error(`no finding of ${stage}`);
  return found;
}

export function podList(items: readonly object[]): object {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

/** What the kubelet's /metrics has of claims. */
export function metricsOf(
  claims: readonly Pick<FakeClaim, 'name' | 'numbers'>[],
  more: readonly string[] = [],
): string {
  const lines = claims.flatMap(({ name, numbers }) =>
    [
      ['capacity_bytes', numbers?.capacityBytes ?? CAPACITY],
      ['available_bytes', 60],
      ['used_bytes', 40],
    ].map(
      ([end, value]) =>
        `kubelet_volume_stats_${String(end)}{namespace="shop",persistentvolumeclaim="${name}"} ${String(value)}`,
    ),
  );
  const heads = claims.length === 0 ? [] : ['# TYPE kubelet_volume_stats_capacity_bytes gauge'];
  return `${['# a kubelet', ...heads, ...lines, ...more].join('\n')}\n`;
}

function uidOf({ name }: FakeClaim): string {
  return `uid-of-${name}`;
}

/** The claims of each pod, the one that the pod is called after first. */
function byPod(claims: readonly FakeClaim[]): readonly (readonly [FakeClaim, ...FakeClaim[]])[] {
  return claims
    .filter(({ withPodOf }) => withPodOf === undefined)
    .map((each) => [each, ...claims.filter(({ withPodOf }) => withPodOf === each.name)]);
}

function podsOf(claims: readonly FakeClaim[]): readonly FakePod[] {
  return byPod(claims).map(([first, ...others]) => podOf(first, others));
}

function volumeNameOf({ name, withPodOf }: FakeClaim): string {
  return withPodOf === undefined ? 'data' : name;
}

export interface FakePod {
  metadata: { uid: string; name: string; namespace: string };
  spec: Record<string, unknown>;
  status: object;
}

export function podOf(claim: FakeClaim, others: readonly FakeClaim[] = []): FakePod {
  const { name, nodeName = NODE, status } = claim;
  const names = [claim, ...others].map(volumeNameOf);
  const main = {
    name: 'main',
    volumeMounts: names.map((each) => ({ name: each, mountPath: `/${each}` })),
  };
  const running = [{ name: 'main', state: { running: {} }, restartCount: 0 }];
  const startTime = new Date(Date.now() - HOUR_MS).toISOString();
  return {
    metadata: { uid: uidOf(claim), name: `${name}-pod`, namespace: 'shop' },
    spec: {
      ...(nodeName !== '' && { nodeName }),
      volumes: [claim, ...others].map((each) => ({
        name: volumeNameOf(each),
        ...(each.inline ?? { persistentVolumeClaim: { claimName: each.name } }),
      })),
      containers: [main],
    },
    status: { phase: 'Running', startTime, containerStatuses: running, ...status },
  };
}

export function claimOf({ name }: FakeClaim): object {
  return {
    metadata: { namespace: 'shop', name, uid: `claim-${name}` },
    spec: { volumeName: `pv-${name}`, volumeMode: 'Filesystem' },
    status: { phase: 'Bound' },
  };
}

export function volumeOf({ name, source }: FakeClaim): {
  metadata: { name: string; uid: string };
  spec: Record<string, unknown>;
} {
  const csi = { driver: DRIVER, volumeHandle: `handle-${name}` };
  return {
    metadata: { name: `pv-${name}`, uid: `pv-uid-${name}` },
    spec: { claimRef: { namespace: 'shop', name, uid: `claim-${name}` }, ...(source ?? { csi }) },
  };
}

function summaryOf([first, ...others]: readonly [FakeClaim, ...FakeClaim[]]): object {
  const volume = [first, ...others]
    .filter(({ hasNumbers = true }) => hasNumbers)
    .map((each) => ({
      name: volumeNameOf(each),
      time: new Date().toISOString(),
      ...{ capacityBytes: CAPACITY, availableBytes: 60, usedBytes: 40, inodes: 10, ...each.numbers },
      ...(each.inline === undefined && { pvcRef: { name: each.name, namespace: 'shop' } }),
    }));
  return {
    podRef: { name: `${first.name}-pod`, namespace: 'shop', uid: uidOf(first) },
    ...(volume.length > 0 && { volume }),
  };
}
