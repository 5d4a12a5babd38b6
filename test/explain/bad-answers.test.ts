import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ExplainOptions } from '../../src/explain/explain-options.js';
import type { VolumeExplanation } from '../../src/explain/finding.js';
import { ApiClient } from '../../src/kubelet/api-client.js';
import { KubeletClient } from '../../src/kubelet/kubelet-client.js';
import { FakeNode, findingOf, metricsOf, podList, podOf, stagesWith } from './support/fake-node.js';
import { FakePrometheus, json, text, type Answering } from './support/fake-prometheus.js';

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
const OF_PROMETHEUS = ['dashboard', 'series', 'prometheus', 'target'] as const;
/** The disk is not looked at here. */
const UNKNOWN = [...OF_PROMETHEUS, 'disk'];

let node: FakeNode;
let prometheus: FakePrometheus;

beforeEach(async () => {
  node = await FakeNode.start([{ name: 'data' }], false);
  prometheus = await FakePrometheus.start(new URL(node.kubelet.endpoint).host);
});

afterEach(async () => {
  await prometheus.stop();
  await node.stop();
});

async function one(options: ExplainOptions = {}): Promise<VolumeExplanation> {
  return await node.one('data', { node: undefined, prometheus: prometheus.client, ...options });
}

/** No text for people holds what could move a terminal's cursor or hide something. */
function expectEscaped(found: unknown): void {
  const { volumes, problems } = found as { volumes: VolumeExplanation[]; problems: string[] };
  const texts = volumes.flatMap(({ findings, cause, remedy, claim, pod, volume, namespace }) => [
    ...findings.flatMap(({ evidence, fix }) => [evidence, fix]),
    ...[cause, remedy, claim?.name, claim?.namespace, pod, volume, namespace],
  ]);
  expect([...texts, ...problems].filter((each) => each !== undefined && CONTROLS.test(each))).toEqual([]);
}

describe('a Prometheus that answers nonsense', () => {
  const success = (data: unknown): Answering => json({ status: 'success', data });
  const vector = (result: unknown): Answering => success({ resultType: 'vector', result });
  const endless: Answering = (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = (): void => {
      while (!response.destroyed && response.write('[1,2,3,4],'.repeat(10_000)));
    };
    response.on('drain', more);
    more();
  };

  test.each<[string, Answering, RegExp]>([
    [
      'HTML',
      text('<html>\u001b[31mLog in</html>'),
      /something else than it should: .*<html>\\x1b\[31mLog in/,
    ],
    ['HTML with a status', text('<html>Bad gateway</html>', 502), /status 502: <html>Bad gateway/],
    ['a redirection', text('', 302), /status 302.*a login page in between/],
    [
      'JSON that is cut short',
      text('{"status":"success","data":{"resu', 200),
      /something else than it should/,
    ],
    ['nothing', text(''), /something else than it should/],
    ['JSON of another server', json({ hello: 'world' }), /it has no status/],
    ['a number', success(7), /something else than it should/],
    [
      'a result that is not a vector',
      success({ resultType: 'scalar', result: [1, '2'] }),
      /something else than it should/,
    ],
    ['a result that is not a list', vector({ 0: 1 }), /something else than it should/],
    ['samples without a number', vector([{ metric: {}, value: [1, {}] }]), /something else than it should/],
    [
      'samples with a number that is none',
      vector([{ metric: {}, value: [1, '0x10'] }]),
      /something else than it should/,
    ],
    ['samples that are none', vector([null, 3]), /something else than it should/],
    ['401', text('who?', 401), /does not know who asks \(401\): check auth and tenant/],
    ['403', text('no', 403), /refuses \(403\): check auth and tenant/],
    ['500 with a long text', text('x'.repeat(1_000_000), 500), /status 500: x{300}\.\.\./],
    ['an answer without end', endless, /has more, and maxAnswerBytes is 33554432: raise it/],
  ])('%s is unknown, and the kubelet is still judged', async (_, answering, problem) => {
    prometheus.answerAll(answering);
    const found = await one();
    expect(found.result).toBe('unknown');
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(stagesWith(found, 'unknown')).toEqual(UNKNOWN);
    for (const stage of OF_PROMETHEUS) expect(findingOf(found, stage).evidence).toMatch(problem);
    expect(found.cause).toMatch(/Prometheus at http:\/\/127/);
    expect(findingOf(found, 'kubelet-metrics').verdict).toBe('ok');
    for (const { evidence } of found.findings) expect(evidence.length).toBeLessThan(1_000);
  });

  test('that drops all connections is unknown', async () => {
    prometheus.answerAll((response) => response.destroy());
    const found = await one();
    expect(found.result).toBe('unknown');
    expect(found.cause).toMatch(/^Prometheus at http:.* (cannot be reached|broke)/);
    expect(stagesWith(found, 'unknown')).toEqual(UNKNOWN);
  });

  test.each(['NaN', '+Inf', '-Inf'])('the value %s is not shown by any panel: unknown', async (value) => {
    const labels = { namespace: 'shop', persistentvolumeclaim: 'data' };
    prometheus.answers.set('dashboard', vector([{ metric: labels, value: [1, value] }]));
    const found = await one();
    expect(found.result).toBe('unknown');
    expect(found.cause).toMatch(/has the value (NaN|-?Infinity) .*, which panels do not show/);
  });

  test('labels with odd names and texts are shown escaped, and match nothing', async () => {
    const metric = JSON.parse(
      '{"__proto__":"x","constructor":"y","job":"k\\u001b[2J","":"z","persistentvolumeclaim":"data","namespace":"shop","n":5}',
    ) as object;
    prometheus.answers.set('series', vector([{ metric, value: [1, '100'] }]));
    prometheus.answers.set('dashboard', vector([{ metric, value: [1, '40'] }]));
    const targets = [
      { labels: metric, discoveredLabels: metric, lastError: 'no\u001b', health: 'down' },
      7,
      null,
    ];
    prometheus.answers.set('active', success({ activeTargets: targets }));
    prometheus.answers.set('offering', success([null, { target: 5 }]));
    const claim = { namespace: 'shop', name: 'data' };
    const found = await node.explain({ node: undefined, prometheus: prometheus.client, claim });
    expectEscaped(found);
    expect(found.volumes[0] && findingOf(found.volumes[0], 'series').evidence).toContain('job "k\\x1b[2J"');
  });

  test('a target whose texts are huge is cut', async () => {
    const huge = 'x'.repeat(1_000_000);
    const target = { labels: { instance: huge }, scrapeUrl: `https://node1:10250/${huge}`, health: 'down' };
    const discoveredLabels = { __address__: new URL(node.kubelet.endpoint).host };
    prometheus.answers.set(
      'active',
      success({ activeTargets: [{ ...target, discoveredLabels, lastError: huge }] }),
    );
    prometheus.answers.set('series', vector([]));
    prometheus.answers.set('dashboard', vector([]));
    const found = await one();
    for (const { evidence } of found.findings) expect(evidence.length).toBeLessThan(1_000);
    expect(found.result).toBe('missing');
  });
});

describe("a kubelet's /metrics that is nonsense", () => {
  test.each<[string, string, RegExp]>([
    ['HTML', '<html>\u001b[31mLog in</html>', /no list of metrics\. It begins with <html>\\x1b/],
    ['JSON', '{"a":1}', /no list of metrics\. It begins with \{"a":1\}/],
    ['nothing', '', /no list of metrics/],
    ['binary', '\u0000\u0001\u0002'.repeat(1_000), /no list of metrics/],
  ])('%s is unknown', async (_, body, problem) => {
    node.kubelet.bodies.metrics = body;
    const found = await one({ prometheus: undefined });
    expect(found.result).toBe('unknown');
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(findingOf(found, 'kubelet-metrics').evidence).toMatch(problem);
  });

  test('malformed, huge and odd lines are left out, and the others are read', async () => {
    const name = 'kubelet_volume_stats_capacity_bytes';
    node.kubelet.bodies.metrics = [
      metricsOf([{ name: 'data' }]),
      `${name}{namespace="shop",persistentvolumeclaim="${'\\\\'.repeat(4_000_000)}"} 1`,
      `${name}{__proto__="x",namespace="shop",persistentvolumeclaim="odd\u001b"} 1`,
      `kubelet_volume_stats___proto__{namespace="shop",persistentvolumeclaim="data"} 9`,
      `${name}{namespace="shop",persistentvolumeclaim="data"} NaN`,
      `${name}}{{} 5`,
      `${name}{`,
      'process_start_time_seconds soon',
    ].join('\n');
    const found = await one({ prometheus: undefined });
    expect(found.result).toBe('exported');
    expect(findingOf(found, 'kubelet-metrics').data).toEqual({
      capacity_bytes: 100,
      available_bytes: 60,
      used_bytes: 40,
    });
  });
});

describe('a kubelet and an API server with odd texts', () => {
  /** A pod as the kubelet has it, with a claim of an odd name. */
  const odd = (claimName: string, more: object = {}): object => {
    const pod = podOf({ name: 'odd' });
    return {
      ...pod,
      spec: { ...pod.spec, volumes: [{ name: 'v\u001b', persistentVolumeClaim: { claimName } }], ...more },
    };
  };

  test.each([
    ['control characters', 'a\u001b[2J\u202eb'],
    ['a slash', '../../etc'],
    ['a lone surrogate', 'a\ud800'],
    ['many characters', 'x'.repeat(100_000)],
    ['nothing', ''],
    ['a name of every object', '__proto__'],
  ])('a claim whose name has %s is explained or left out, and the others are explained', async (_, name) => {
    node.kubelet.bodies.pods = podList([podOf({ name: 'data' }), odd(name)]);
    const found = await node.explain({ prometheus: prometheus.client });
    expectEscaped(found);
    const results = new Map(found.volumes.map(({ claim, result }) => [claim?.name, result]));
    expect(results.get('data')).toBe('exported');
    expect([...results.values()].filter((each) => each === 'exported')).toHaveLength(1);
  });

  test('a pod with control characters everywhere is shown escaped', async () => {
    const bad = '\u001b]0;x\u0007\u009b31m';
    node.kubelet.bodies.pods = podList([
      {
        metadata: { uid: 'u1', name: bad, namespace: 'shop' },
        spec: {
          nodeName: bad,
          volumes: [{ name: bad, persistentVolumeClaim: { claimName: 'data' } }],
          containers: [{ name: bad, volumeMounts: [{ name: bad }] }],
        },
        status: {
          phase: bad,
          startTime: bad,
          message: bad,
          containerStatuses: [{ name: bad, state: { waiting: { reason: bad } }, restartCount: -1 }],
          volumeHealth: [{ name: bad, healthConditions: [{ status: bad, reason: bad, message: bad }] }],
        },
      },
    ]);
    expectEscaped(await node.explain({ prometheus: prometheus.client }));
  });

  test('a node whose name no node can have is asked about nothing, and the rest is judged', async () => {
    const nodeName = '\ud800/../x';
    node.kubelet.bodies['stats/summary'] = { node: { nodeName }, pods: [] };
    node.kubelet.answer('/pods', { status: 500, body: 'no' });
    const claim = { namespace: 'shop', name: 'data' };
    const found = await node.explain({ node: undefined, claim });
    expectEscaped(found);
    expect(found.volumes).toHaveLength(1);
    expect(found.problems.join('\n')).toMatch(/no/);
  });

  test('a CSINode and events of the wrong form say nothing', async () => {
    node.api.answer('/apis/storage.k8s.io/v1/csinodes/node1', { body: '{"spec":{"drivers":7}}' });
    node.api.answer('/api/v1/namespaces/shop/events', { body: '{"items":[null,7,{"involvedObject":[]}]}' });
    expect((await one()).result).toBe('exported');
    node.api.answer('/api/v1/namespaces/shop/events', { body: '<html>' });
    const { problems } = await node.explain({ claim: { namespace: 'shop', name: 'data' } });
    expect(problems.join('\n')).toMatch(/events.* with HTML, not JSON/);
  });

  test('what a foreign door throws is told, whatever it is', async () => {
    const broken = { endpoint: 'https://kubelet', pods: null };
    for (const name of ['statsSummary', 'metrics', 'configz']) {
      Object.assign(broken, {
        [name]: () => {
          throw 'a text\u001b';
        },
      });
    }
    const found = await one({ kubelet: broken as never });
    expect(findingOf(found, 'kubelet-metrics').evidence).toBe('a text\\x1b');
    expect(findingOf(found, 'kubelet-summary').verdict).toBe('unknown');
  });
});

describe('a door that never answers', () => {
  let hole: Server;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    hole = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
    await once(hole, 'listening');
  });

  afterEach(async () => {
    for (const each of sockets) each.destroy();
    sockets.clear();
    hole.close();
    await once(hole, 'close');
  });

  const url = (): string => `https://127.0.0.1:${String((hole.address() as AddressInfo).port)}`;
  const hanging = () => ({ auth: { type: 'none' }, insecureSkipTlsVerify: true, timeoutMs: 100 }) as const;

  test('of the kubelet is unknown', async () => {
    const kubelet = new KubeletClient({ ...hanging(), endpoint: url() });
    const found = await one({ kubelet });
    kubelet.close();
    const late = /did not answer .*within 100 ms/;
    expect(findingOf(found, 'kubelet-metrics').evidence).toMatch(late);
    expect(findingOf(found, 'kubelet-summary').evidence).toMatch(late);
    expect(findingOf(found, 'dashboard').verdict).toBe('ok');
    expect(found.result).toBe('exported');
  });

  test('of the API server is unknown', async () => {
    const api = new ApiClient({ ...hanging(), endpoint: url() });
    const found = await one({ api });
    api.close();
    expect(findingOf(found, 'provider')).toMatchObject({ verdict: 'unknown' });
    expect(findingOf(found, 'provider').evidence).toMatch(/API server at .* did not answer .*within 100 ms/);
    expect(found.result).toBe('exported');
  });

  test('of Prometheus is unknown once the limit of a question is over', async () => {
    prometheus.answerAll(() => undefined);
    const found = await one({ timeoutMs: 100 });
    expect(found.result).toBe('unknown');
    for (const stage of OF_PROMETHEUS) {
      expect(findingOf(found, stage).verdict).toBe('unknown');
      expect(findingOf(found, stage).evidence).toMatch(/^Prometheus at .* did not answer within 100 ms$/);
    }
  });
});

describe('a signal that is aborted', () => {
  /** The doors, with a call before each question. */
  function watched(doors: ExplainOptions, before: () => void): ExplainOptions {
    const watch = <T extends object>(door: T): T =>
      new Proxy(door, {
        get: (target, name) => {
          const found: unknown = Reflect.get(target, name, target);
          if (typeof found !== 'function') return found;
          return (...args: unknown[]): unknown => {
            before();
            return Reflect.apply(found, target, args) as unknown;
          };
        },
      });
    const { kubelet, api } = doors;
    return {
      ...doors,
      prometheus: watch(prometheus.client),
      ...(kubelet !== undefined && { kubelet: watch(kubelet) }),
      ...(api !== undefined && { api: watch(api) }),
    };
  }

  test('ends it at each question, with its reason, and leaves nothing behind', async () => {
    const doors = node.doors();
    let questions = 0;
    await node.explain(watched(doors, () => (questions += 1)));
    expect(questions).toBeGreaterThan(12);
    for (let last = 1; last <= questions; last += 1) {
      const reason = new Error(`at question ${String(last)}`);
      const controller = new AbortController();
      let asked = 0;
      const options = watched(doors, () => {
        asked += 1;
        if (asked === last) controller.abort(reason);
      });
      await expect(node.explain({ ...options, signal: controller.signal })).rejects.toBe(reason);
    }
  });

  test('ends it before it begins', async () => {
    const reason = new Error('before');
    await expect(node.explain({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(node.kubelet.requests).toEqual([]);
  });

  test('ends it while the kubelet does not answer', async () => {
    node.kubelet.mode = 'mute';
    const controller = new AbortController();
    const answer = node.explain({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
  });
});
