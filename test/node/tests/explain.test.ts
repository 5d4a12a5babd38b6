import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explain, PrometheusClient, type VolumeExplanation } from '../../../src/explain/index.js';
import { ApiClient, KubeletClient } from '../../../src/kubelet/index.js';
import { MAIN } from '../../cli/run-main.js';
import { stagesWith } from '../../explain/support/fake-node.js';
import { scrapeConfiguration, scrapingPrometheus } from '../../explain/support/scraping-prometheus.js';
import buildDist from '../../support/build-dist.js';
import { FuseServer } from '../../support/fuse.mjs';
import { needs } from '../../support/needs.js';
import { end, processesOf, start, startAgain } from '../daemons.mjs';
import { api, closeDoors, kubeletText } from '../doors.mjs';
import { make, makeAccount, makeClaim, makePod, pathOf, remove, SLEEP } from '../objects.mjs';
import {
  ADMIN_KUBECONFIG,
  API_SERVER,
  BIN,
  CSI_VOLUMES,
  DRIVER,
  DRIVER_WITHOUT_STATS,
  KUBELET,
  NODE_NAME,
  PKI,
} from '../place.mjs';
import { podsRun } from '../pods.mjs';

// Faults made on a real node, what `explain` says of them, and what it says once they are gone.

const GIVE_UP_MS = 150_000;
const POLL_MS = 500;
const pki = (name: string): string => join(PKI, name);
const directory = mkdtempSync(join(tmpdir(), 'kvm-node-explain-'));
const auth = { type: 'tls', certFile: pki('admin.crt'), keyFile: pki('admin.key') } as const;
const caFile = pki('ca.crt');
const kubelet = new KubeletClient({ endpoint: KUBELET, caFile, auth });
const server = new ApiClient({ endpoint: API_SERVER, caFile, auth });
const claimed = (claimName: string): object => ({ name: 'data', persistentVolumeClaim: { claimName } });
const csi = (volumeHandle: string): object => ({ csi: { driver: DRIVER, volumeHandle } });

beforeAll(async () => {
  buildDist();
  await podsRun();
});

afterAll(() => {
  kubelet.close();
  server.close();
  closeDoors();
  rmSync(directory, { recursive: true });
});

async function one(name: string, more: Parameters<typeof explain>[0] = {}): Promise<VolumeExplanation> {
  const claim = { namespace: 'default', name };
  const doors = { node: { name: NODE_NAME }, kubelet, api: server, timeoutMs: 5_000 };
  const { volumes } = await explain({ ...doors, ...more, claim });
  expect(volumes).toHaveLength(1);
  return volumes[0]!;
}

/** The explanation once it is of this kind, or the last one: a kubelet and its pods take their time. */
async function until(
  name: string,
  fits: (found: VolumeExplanation) => boolean,
  more?: Parameters<typeof explain>[0],
): Promise<VolumeExplanation> {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  for (;;) {
    const found = await one(name, more);
    if (fits(found) || Date.now() > giveUpAt) return found;
    await delay(POLL_MS);
  }
}

const isSound = (found: VolumeExplanation): boolean =>
  found.result === 'exported' && stagesWith(found, 'cause').length === 0;

/** What is expected of a fault: the stage that is blamed alone, for what, and what to do. */
interface Blame {
  readonly stage: string;
  readonly cause: RegExp;
  readonly remedy: RegExp;
}

async function expectBlame(name: string, { stage, cause, remedy }: Blame): Promise<void> {
  const found = await until(name, (each) => each.result === 'missing' && cause.test(each.cause));
  expect(found.cause).toMatch(cause);
  expect(found.remedy).toMatch(remedy);
  expect(stagesWith(found, 'cause')).toEqual([stage]);
  expect(found.result).toBe('missing');
}

async function expectSound(name: string): Promise<void> {
  const found = await until(name, isSound);
  expect([found.result, found.cause]).toEqual(['exported', expect.stringMatching(/^Capacity /)]);
  expect(stagesWith(found, 'cause')).toEqual([]);
}

/** A claim of the driver, and a pod that uses it. */
async function makeVolume(name: string, pod: Parameters<typeof makePod>[1] = {}): Promise<void> {
  await makeClaim(name, { size: '1Gi', source: csi(`vol-${name}`) });
  await makePod(name, { volumes: [claimed(name)], ...pod });
}

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

/** Runs the command as a person would, with `kubectl` for the API server. */
function command(kubeconfig: string, ...args: readonly string[]): Ended {
  const env = { ...process.env, KUBECONFIG: '', NODE_NAME: undefined };
  const argv = [MAIN, 'explain', '--kubeconfig', kubeconfig, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', env });
  return { code: status, text: stdout + stderr };
}

function kubectl(input: string, ...args: readonly string[]): string {
  const argv = ['--kubeconfig', ADMIN_KUBECONFIG, ...args];
  const { status, stdout, stderr } = spawnSync('kubectl', argv, { encoding: 'utf8', input });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

describe('with nothing wrong', () => {
  test('a claim is exported, and every stage of the node is ok', async () => {
    const found = await until('csi-img', isSound);
    expect(found.cause).toMatch(/^Capacity .*, used .*, the same as measured here/);
    expect(stagesWith(found, 'ok')).toEqual([
      'kubelet-metrics',
      'kubelet-summary',
      'analyzer',
      'pod',
      'provider',
      'disk',
      'csi',
      'number',
    ]);
    expect(stagesWith(found, 'unknown')).toEqual([]);
  });

  test('of all claims of the node, those without numbers have a cause', async () => {
    await until('csi-img', isSound);
    const doors = { node: { name: NODE_NAME }, kubelet, api: server };
    const { volumes, problems } = await explain(doors);
    expect(problems).toEqual([]);
    const missing = volumes.filter(({ result }) => result !== 'exported');
    const causes = missing.map((each) => [each.claim?.name, stagesWith(each, 'cause').at(-1)]);
    expect(causes.sort()).toEqual([
      ['crash', 'pod'],
      ['done', 'pod'],
      ['hp', 'provider'],
      ['nostats', 'csi'],
    ]);
    expect(volumes.length).toBeGreaterThan(10);
  });
});

describe.skipIf(needs({ programs: ['kubectl'] }))('rights', () => {
  test("a worker's own credentials find the volume; the rule that is shown opens the kubelet", async () => {
    const kubeconfig = pki('kubelet.kubeconfig');
    const refused = command(kubeconfig, 'default/csi-img', '--verbose');
    expect(refused.text).toMatch(/^default\/csi-img: unknown\n.*system:node:node1 may not get nodes\/stats/);
    expect(refused.text).toMatch(/^ {2}pod {13}ok /m);
    expect(refused.text).toMatch(/^ {2}disk {12}ok /m);
    expect(refused.text).toMatch(/^ {2}csi {13}ok {6}the driver hostpath\.mini\.example answers/m);
    expect(refused.code).toBe(3);
    const rule = refused.text.slice(refused.text.indexOf('apiVersion: '));
    kubectl(rule, 'apply', '-f', '-');
    const tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, kubectl('', 'create', 'token', '-n', 'kube-system', 'kube-volume-metrics'));
    const giveUpAt = Date.now() + GIVE_UP_MS;
    let found: Ended;
    do found = command(kubeconfig, 'default/csi-img', '--token-file', tokenFile, '--ca-file', caFile);
    while (found.code === 3 && Date.now() < giveUpAt && (await delay(POLL_MS, true)));
    expect(found.text).toMatch(/^default\/csi-img: exported\n {2}Capacity /);
    expect(found.code).toBe(0);
    kubectl(rule, 'delete', '-f', '-');
  });

  test('an account without rights: unknown, until the rules that are shown are there', async () => {
    await makeAccount('without-rights', []);
    const tokenFile = join(directory, 'without-rights');
    writeFileSync(tokenFile, kubectl('', 'create', 'token', 'without-rights'));
    const account = new KubeletClient({
      endpoint: KUBELET,
      caFile,
      auth: { type: 'serviceAccount', tokenFile },
    });
    try {
      const refused = await one('csi-img', { kubelet: account });
      expect(refused.result).toBe('unknown');
      expect(stagesWith(refused, 'unknown')).toEqual(['kubelet-metrics', 'kubelet-summary', 'analyzer']);
      expect(stagesWith(refused, 'cause')).toEqual([]);
      const rules = refused.findings.flatMap(({ data: { rule } }) =>
        typeof rule === 'string' ? [rule] : [],
      );
      expect(rules).toHaveLength(3);
      kubectl(rules.join('---\n'), 'apply', '-f', '-');
      const found = await until('csi-img', isSound, { kubelet: account });
      expect(found.result).toBe('exported');
      kubectl(rules.join('---\n'), 'delete', '-f', '-');
    } finally {
      account.close();
    }
  });
});

describe.skipIf(needs({ programs: ['kubectl', 'unshare'] }))('in a pod', () => {
  const ROLE = {
    rules: [
      {
        apiGroups: [''],
        resources: ['nodes/pods', 'nodes/stats', 'nodes/metrics', 'nodes/configz'],
        verbs: ['get'],
      },
      { apiGroups: [''], resources: ['persistentvolumeclaims', 'persistentvolumes'], verbs: ['get'] },
      { apiGroups: [''], resources: ['pods', 'events'], verbs: ['list'] },
      { apiGroups: ['storage.k8s.io'], resources: ['csinodes'], verbs: ['get'] },
    ],
  };

  /** Without options: with the account's files where a pod has them, and what a pod has in its environment. */
  function inPod(...args: readonly string[]): Ended {
    const account = '/var/run/secrets/kubernetes.io/serviceaccount';
    const script = [
      'mount -t tmpfs none /run',
      `mkdir -p ${account}`,
      `cp "$1"/pod-token ${account}/token`,
      `cp "$2" ${account}/ca.crt`,
      'shift 2',
      'exec "$@"',
    ].join(' && ');
    const { hostname, port } = new URL(API_SERVER);
    const argv = ['-m', 'sh', '-c', script, 'sh', directory, caFile, process.execPath, MAIN, 'explain'];
    const { status, stdout, stderr } = spawnSync('unshare', [...argv, ...args], {
      encoding: 'utf8',
      env: {
        ...process.env,
        ...{ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port, NODE_NAME },
      },
    });
    return { code: status, text: stdout + stderr };
  }

  test('it needs no options, with the rights that the guide names', async () => {
    await makeAccount('exporter', []);
    writeFileSync(join(directory, 'pod-token'), kubectl('', 'create', 'token', 'exporter'));
    const refused = inPod('csi-img');
    expect(refused.text).toMatch(/^default\/csi-img: unknown\n/);
    expect(refused.text).toContain('system:serviceaccount:default:exporter may not get nodes/pods');
    expect(refused.text).toMatch(/^kind: ClusterRole$/m);
    expect(refused.code).toBe(3);
    await make('ClusterRole', 'explain', ROLE);
    await make('ClusterRoleBinding', 'explain', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'explain' },
      subjects: [{ kind: 'ServiceAccount', name: 'exporter', namespace: 'default' }],
    });
    const giveUpAt = Date.now() + GIVE_UP_MS;
    let found: Ended;
    do found = inPod('csi-img', '--verbose');
    while (found.code !== 0 && Date.now() < giveUpAt && (await delay(POLL_MS, true)));
    expect(found.text).toMatch(/^default\/csi-img: exported\n {2}Capacity /);
    expect(found.text).not.toContain(' unknown ');
    const all = inPod();
    expect(all.text).toMatch(/^default\/hp: missing\. The volume is a hostPath/m);
    expect(all.code).toBe(1);
  });
});

describe('a pod', () => {
  test('of which no container comes up, until one does', async () => {
    const shell = `[ -e /v/data/go ] || exit 3; ${SLEEP}`;
    await makeVolume('crashing', { shell });
    await expectBlame('crashing', {
      stage: 'pod',
      cause: /^Pod default\/crashing: no container of the pod runs/,
      remedy: /kubectl (logs --previous|describe pod)/,
    });
    writeFileSync(join(CSI_VOLUMES, 'vol-crashing', 'go'), '');
    await expectSound('crashing');
    await remove('Pod', 'crashing');
  });

  test('that waits for a ConfigMap, until it is there', async () => {
    await makeClaim('pending', { size: '1Gi', source: csi('vol-pending') });
    const late = { name: 'late', configMap: { name: 'comes-late' } };
    await makePod('pending', { volumes: [claimed('pending'), late] });
    await expectBlame('pending', {
      stage: 'pod',
      cause: /^Pod default\/pending: the pod has not started \(Pending\): main waits \(ContainerCreating\)/,
      remedy: /kubectl describe pod/,
    });
    await make('ConfigMap', 'comes-late', { data: { a: 'b' } });
    await expectSound('pending');
    await remove('Pod', 'pending');
  });

  test('that is not there at all, and one that is on no node', async () => {
    await makeClaim('lonely', { size: '1Gi', source: csi('vol-lonely') });
    await expectBlame('lonely', {
      stage: 'pod',
      cause: /^No pod in namespace default mounts the claim lonely/,
      remedy: /claimName/,
    });
    await makePod('lonely', { volumes: [claimed('lonely')], spec: { nodeName: undefined } });
    await expectBlame('lonely', {
      stage: 'pod',
      cause: /^Pod default\/lonely is not scheduled to any node \(Pending\)/,
      remedy: /kubectl describe pod/,
    });
    const target = { apiVersion: 'v1', kind: 'Node', name: NODE_NAME };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'lonely' }, target };
    const bound = await api('POST', `${pathOf('Pod', 'lonely')}/binding`, binding);
    expect(bound.status).toBe(201);
    await expectSound('lonely');
    await remove('Pod', 'lonely');
  });
});

describe('a driver', () => {
  const withoutStats = 'csi-driver-without-stats';

  test('without the capability, until it has it', async () => {
    await expectBlame('nostats', {
      stage: 'csi',
      cause: /^The driver nostats\.mini\.example does not have the capability GET_VOLUME_STATS/,
      remedy: /a version of the driver that has it/,
    });
    await end(() => processesOf(withoutStats));
    const flags = ['-name', DRIVER_WITHOUT_STATS, '-node', NODE_NAME, '-dir', CSI_VOLUMES];
    try {
      start('csi-driver-now-with-stats', [join(BIN, 'csi-driver'), ...flags]);
      await expectSound('nostats');
    } finally {
      await end(() => processesOf('csi-driver-now-with-stats'));
      startAgain(withoutStats);
    }
    await until('nostats', ({ cause }) => cause.includes('capability'));
  });

  test('that was killed, until it is there again', async () => {
    await expectSound('csi-dir');
    await end(() => processesOf('csi-driver'));
    try {
      await expectBlame('csi-dir', {
        stage: 'csi',
        cause: /^The driver hostpath\.mini\.example is registered, and nobody answers at its socket/,
        remedy: /Restart the driver's pod/,
      });
    } finally {
      startAgain('csi-driver');
    }
    await expectSound('csi-dir');
  });
});

test('a hostPath is never measured', async () => {
  await expectBlame('hp', {
    stage: 'provider',
    cause: /^The volume is a hostPath, and the kubelet never measures these/,
    remedy: /volumeType: local/,
  });
});

describe.skipIf(needs({ fuse: true }))('a mount', () => {
  test('that hangs, until it answers', async () => {
    const fuse = new FuseServer();
    try {
      const mount = await fuse.mount();
      const local = { local: { path: mount.path } };
      await makeClaim('hanging', { size: '1Mi', source: local });
      await makePod('hanging', { volumes: [claimed('hanging')] });
      await expectSound('hanging');
      await mount.hold();
      const found = await until('hanging', ({ findings }) => findings.some(isHanging));
      expect(found.findings.find(isHanging)?.evidence).toMatch(/^the filesystem does not answer since /);
      expect(stagesWith(found, 'cause').filter((stage) => stage !== 'number')).toEqual(['disk']);
      expect(found.cause).toMatch(/^The filesystem does not answer/);
      expect(found.remedy).toMatch(/server or device behind the mount/);
      await mount.release();
      await expectSound('hanging');
      await remove('Pod', 'hanging');
    } finally {
      await fuse.close();
    }
  });

  const isHanging = ({ stage, verdict }: VolumeExplanation['findings'][number]): boolean =>
    stage === 'disk' && verdict === 'cause';
});

describe.skipIf(needs({ programs: ['prometheus'] }))(
  'a real Prometheus that scrapes the real kubelet',
  () => {
    test('has the number, unless its credentials are refused', async () => {
      const scrape = (user: string): object => ({
        job_name: 'kubelet',
        scheme: 'https',
        honor_labels: true,
        scrape_interval: '1s',
        scrape_timeout: '1s',
        tls_config: { ca_file: caFile, cert_file: pki(`${user}.crt`), key_file: pki(`${user}.key`) },
        static_configs: [{ targets: [new URL(KUBELET).host] }],
        relabel_configs: [
          { source_labels: ['__metrics_path__'], target_label: 'metrics_path' },
          { target_label: 'node', replacement: NODE_NAME },
        ],
      });
      const prometheus = await scrapingPrometheus([scrape('nobody')]);
      const client = new PrometheusClient({ url: prometheus.url });
      try {
        const isRefused = ({ cause }: VolumeExplanation): boolean => cause.includes('403');
        const refused = await until('csi-img', isRefused, { prometheus: client });
        expect(refused.cause).toMatch(/is down: server returned HTTP status 403 Forbidden/);
        expect(refused.remedy).toContain('nodes/metrics');
        expect(stagesWith(refused, 'cause')).toEqual(['target']);
        await prometheus.reload(scrapeConfiguration([scrape('admin')]));
        const found = await until('csi-img', isSound, { prometheus: client });
        expect(found.result).toBe('exported');
        expect(stagesWith(found, 'ok')).toHaveLength(13);
      } finally {
        client.close();
        await prometheus.close();
      }
    });
  },
);

test('a kubelet that was restarted while the driver is gone: the driver is blamed, until it is there', async () => {
  await makeVolume('uncertain');
  await expectSound('uncertain');
  await end(() => processesOf('csi-driver'));
  await end(() => processesOf('kubelet'));
  startAgain('kubelet');
  while (!(await kubeletText('/stats/summary').catch(() => undefined))) await delay(POLL_MS);
  await expectBlame('uncertain', {
    stage: 'csi',
    cause: /^The driver hostpath\.mini\.example .*/,
    remedy: /driver/,
  });
  startAgain('csi-driver');
  await expectSound('uncertain');
  await remove('Pod', 'uncertain');
});
