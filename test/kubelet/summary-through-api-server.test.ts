import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiClient, summaryThroughApiServer } from '../../src/kubelet/index.js';
import { FakeApiServer } from '../../src/testing/kubelet/index.js';
import { recordedJson } from './recorded.js';

let server: FakeApiServer;
let api: ApiClient;
let weak: ApiClient;

beforeAll(async () => {
  server = await FakeApiServer.start({
    tokens: { good: { name: 'ada' }, weak: { name: 'bob' } },
    rules: [{ subject: 'ada', resources: ['nodes/proxy'] }],
    kubelets: { node1: { bodies: { 'stats/summary': recordedJson('1.37', 'stats-summary.json') } } as never },
  });
  const client = async (token: string): Promise<ApiClient> =>
    new ApiClient({
      ...{ endpoint: server.endpoint, caFile: server.caFile },
      auth: { type: 'serviceAccount', tokenFile: await server.tokenFile(token) },
    });
  [api, weak] = await Promise.all([client('good'), client('weak')]);
});

afterAll(async () => {
  api.close();
  weak.close();
  await server.stop();
});

test("a kubelet's summary is the same through the API server's proxy", async () => {
  const { node, pods, problems } = (await summaryThroughApiServer(api, 'node1'))!;
  const recorded = recordedJson<{ pods: { podRef: { uid: string } }[] }>('1.37', 'stats-summary.json');
  expect(node?.nodeName).toBe('node1');
  expect(pods.map(({ podRef }) => podRef.uid)).toEqual(recorded.pods.map(({ podRef }) => podRef.uid));
  expect(pods.some(({ volume = [] }) => volume.some(({ usedBytes }) => typeof usedBytes === 'bigint'))).toBe(
    true,
  );
  expect(problems).toEqual([]);
});

test('a node that there is not is undefined', async () => {
  const status = { kind: 'Status', reason: 'NotFound', message: 'nodes "node9" not found' };
  server.answer('/api/v1/nodes/node9/proxy/stats/summary', { status: 404, body: status });
  expect(await summaryThroughApiServer(api, 'node9')).toBeUndefined();
});

test.each([
  ['<html>log in</html>', /HTML, not JSON/],
  ['{"pods":[]}', /it has no node/],
])('%s is not taken for a summary', async (body, message) => {
  server.answer('/api/v1/nodes/odd/proxy/stats/summary', { body });
  await expect(summaryThroughApiServer(api, 'odd')).rejects.toMatchObject({
    code: 'API_BAD_ANSWER',
    message: expect.stringMatching(message) as string,
  });
});

test('a missing right is named, with the rule', async () => {
  await expect(summaryThroughApiServer(weak, 'node1')).rejects.toMatchObject({
    code: 'API_FORBIDDEN',
    rule: expect.stringContaining('resources: ["nodes/proxy"], verbs: ["get"]') as string,
  });
});

test.each(['', '..', '../../secrets', 'node1/proxy/exec', 'Node'])(
  '%j is no name of a node',
  async (name) => {
    const before = server.requests.length;
    await expect(summaryThroughApiServer(api, name)).rejects.toThrow(TypeError);
    expect(server.requests).toHaveLength(before);
  },
);
