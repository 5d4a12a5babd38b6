import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KubeletClient, type KubeletError } from '../../src/kubelet/index.js';
import { FakeKubelet, type FakeHttpAnswer } from '../../src/testing/kubelet/index.js';
import { recordedText } from './recorded.js';

const MOST = 1_000_000;
const PODS = recordedText('1.37', 'pods.json');
const json = { 'content-type': 'application/json' };

describe('answers that no kubelet gives', () => {
  let kubelet: FakeKubelet;
  let client: KubeletClient;

  beforeAll(async () => {
    kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
  });

  afterAll(async () => {
    await kubelet.stop();
  });

  beforeEach(() => {
    kubelet.answer('/pods', undefined);
    client = new KubeletClient({
      endpoint: kubelet.endpoint,
      caFile: kubelet.caFile,
      maxAnswerBytes: MOST,
      timeoutMs: 20_000,
    });
    return () => {
      client.close();
    };
  });

  const failure = async (answer: FakeHttpAnswer): Promise<KubeletError> => {
    kubelet.answer('/pods', answer);
    return await client.pods().then(
      () => {
        throw new Error('expected a failure');
      },
      (error: unknown) => error as KubeletError,
    );
  };

  test.each<[string, FakeHttpAnswer, string]>([
    [
      'HTML of a proxy',
      { headers: { 'content-type': 'text/html' }, body: '<!doctype html><h1>Log in</h1>' },
      'HTML, not JSON',
    ],
    ['HTML that calls itself JSON', { headers: json, body: '\n<html>' }, 'HTML, not JSON'],
    ['nothing', { headers: json }, 'it is not a JSON object'],
    [
      'a list cut short, as if it were whole',
      { headers: json, body: PODS.slice(0, 50_000) },
      'ends in the middle',
    ],
    ['another JSON', { headers: json, body: { kind: 'Status', message: 'x' } }, 'not a PodList but "Status"'],
    ['bytes', { headers: json, body: Buffer.from([0xff, 0, 0x1b, 0x5b, 0x32, 0x4a]) }, String.raw`\x1b[2J`],
    ['a redirect', { status: 302, headers: { location: 'https://login.example/' } }, 'redirects'],
  ])('%s', async (_, answer, message) => {
    const error = await failure(answer);
    expect(error.code).toBe('KUBELET_BAD_ANSWER');
    expect(error.message).toContain(message);
    expect(error.message).toContain(kubelet.endpoint);
  });

  test('a redirect is not followed', async () => {
    const before = kubelet.requests.length;
    await failure({ status: 302, headers: { location: `${kubelet.endpoint}/metrics` } });
    expect(kubelet.requests.slice(before)).toEqual(['/pods']);
  });

  test('64 MiB, and an endless answer, end at the limit', async () => {
    const open = kubelet.openConnections;
    const error = await failure({ headers: json, body: Buffer.alloc(64 * 2 ** 20, 0x20) });
    expect(error.code).toBe('KUBELET_TOO_LARGE');
    expect(error.message).toContain('maxAnswerBytes is 1000000');
    expect(kubelet.openConnections).toBeLessThanOrEqual(open + 1);
  });

  test('a length above the limit ends it before the body', async () => {
    // The fake sends 10 bytes and then breaks the connection: the length alone decides.
    const answer = {
      headers: { ...json, 'content-length': '2000000' },
      body: Buffer.alloc(5_000),
      cutAfterBytes: 10,
    };
    expect((await failure(answer)).message).toContain('2000000 bytes');
  });

  test('a list of exactly the limit is read', async () => {
    kubelet.answer('/pods', { headers: json, body: PODS + ' '.repeat(MOST - Buffer.byteLength(PODS)) });
    expect((await client.pods()).pods).toHaveLength(16);
    kubelet.answer('/pods', { headers: json, body: PODS + ' '.repeat(MOST - Buffer.byteLength(PODS) + 1) });
    await expect(client.pods()).rejects.toMatchObject({ code: 'KUBELET_TOO_LARGE' });
  });

  test('an answer whose connection breaks is asked for again, and only for a while', async () => {
    const before = kubelet.requests.length;
    const error = await failure({ headers: json, body: PODS, cutAfterBytes: 20_000 });
    expect(error).toMatchObject({ code: 'KUBELET_UNREACHABLE', transient: true });
    // This client has had no answer yet: it does not wait for a restart.
    expect(kubelet.requests.slice(before)).toEqual(['/pods']);
    kubelet.answer('/pods', undefined);
    await client.pods();
    kubelet.answer('/pods', { headers: json, body: PODS, cutAfterBytes: 20_000 });
    const reading = client.pods();
    setTimeout(() => {
      kubelet.answer('/pods', undefined);
    }, 100);
    expect((await reading).pods).toEqual([]);
  });

  test('a text of an error is cut', async () => {
    const error = await failure({ status: 500, body: `oh no ${'x'.repeat(5e5)}` });
    expect(error).toMatchObject({ code: 'KUBELET_FAILED', status: 500, transient: true });
    expect(error.message.length).toBeLessThan(600);
  });

  test('a user whose name has control characters: they are escaped in the rule too', async () => {
    const evil = 'a\u009b31m\u202eb\u2028c';
    const body = `Forbidden (user=${evil}, verb=get, resource=nodes, subresource(s)=[pods proxy])`;
    kubelet.answer('/pods', { status: 403, body });
    const error = await client.pods().catch((each: unknown) => each as KubeletError);
    expect(error).toMatchObject({
      user: evil,
      rule: expect.stringContaining('"a\\x9b31m\\u202eb\\u2028c"') as string,
    });
    expect((error as KubeletError).message).not.toMatch(/[\u0080-\u009f\u2028\u202e]/);
  });

  test('a 403 that is not of a kubelet has no rule', async () => {
    const error = await failure({ status: 403, body: 'blocked by policy' });
    expect(error.code).toBe('KUBELET_FORBIDDEN');
    expect(error.message).toContain('blocked by policy');
    expect(error).not.toHaveProperty('rule');
  });
});

test('a kubelet that serves no debugging endpoints', async () => {
  const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
  kubelet.answer('/pods', { status: 405, body: 'Debug endpoints are disabled.\n' });
  const client = new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile });
  await expect(client.pods()).rejects.toMatchObject({
    code: 'KUBELET_FAILED',
    status: 405,
    message: expect.stringContaining('enableDebuggingHandlers') as string,
  });
  await kubelet.stop();
});
