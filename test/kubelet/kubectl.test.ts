import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ApiClient, apiServerClaims, apiServerPods } from '../../src/kubelet/index.js';
import { FakeApiServer } from '../../src/testing/kubelet/index.js';
import { needs } from '../support/needs.js';
import { recordedJson } from './recorded.js';

describe.skipIf(needs({ programs: ['kubectl'] }))('the real kubectl', () => {
  let server: FakeApiServer;
  const itemsOf = (kind: string): object[] =>
    recordedJson<{ items: object[] }>('1.37', `api-${kind}.json`).items;

  beforeAll(async () => {
    server = await FakeApiServer.start({
      objects: {
        pods: itemsOf('pods-of-node'),
        persistentvolumeclaims: itemsOf('persistentvolumeclaims'),
        persistentvolumes: itemsOf('persistentvolumes'),
      },
      tokens: { good: { name: 'ada' } },
      rules: [{ subject: 'ada', resources: ['pods', 'persistentvolumeclaims', 'persistentvolumes'] }],
    });
  });

  afterAll(async () => {
    await server.stop();
  });

  const client = async (token: string): Promise<ApiClient> =>
    new ApiClient({
      transport: 'kubectl',
      kubectl: { kubeconfig: await server.kubeconfig({ token }) },
      timeoutMs: 60_000,
    });

  test('brings pods, claims and lists', async () => {
    const api = await client('good');
    expect((await apiServerPods(api, 'node1').pods()).pods).toHaveLength(16);
    const claim = await apiServerClaims(api).claim('default', 'csi-dir');
    expect(claim?.volume).toMatchObject({ name: 'pv-csi-dir', csi: { volumeHandle: 'vol-dir' } });
    expect(await api.list('/api/v1/persistentvolumes')).toHaveLength(itemsOf('persistentvolumes').length);
    expect(await api.get('/api/v1/persistentvolumes/none')).toBeUndefined();
  });

  test('brings what a node may see with its own credentials', async () => {
    const kubeconfig = await server.kubeconfig({
      user: { name: 'system:node:node1', groups: ['system:nodes'] },
    });
    const api = new ApiClient({ transport: 'kubectl', kubectl: { kubeconfig }, timeoutMs: 60_000 });
    expect((await apiServerPods(api, 'node1').pods()).pods).toHaveLength(16);
    await expect(apiServerPods(api, 'node2').pods()).rejects.toMatchObject({ code: 'API_FORBIDDEN' });
  });

  test('brings the refusal, with the rule', async () => {
    const api = await client('good');
    await expect(api.get('/api/v1/nodes/node1')).rejects.toMatchObject({
      code: 'API_FORBIDDEN',
      user: 'ada',
      rule: expect.stringContaining('resources: ["nodes"], verbs: ["get"]') as string,
    });
    await expect((await client('bad')).get('/api/v1/nodes/node1')).rejects.toMatchObject({
      code: 'API_UNAUTHENTICATED',
    });
  });

  test('says why it cannot ask', async () => {
    const kubeconfig = await server.kubeconfig({ token: 'good' });
    const without = new ApiClient({
      transport: 'kubectl',
      kubectl: { kubeconfig, context: 'nope' },
      timeoutMs: 60_000,
    });
    await expect(without.get('/api/v1/nodes/x')).rejects.toMatchObject({
      code: 'API_KUBECTL',
      message: expect.stringContaining('context "nope" does not exist') as string,
    });
    const other = await FakeApiServer.start();
    const away = await other.kubeconfig({ token: 'good' });
    await other.crash();
    const api = new ApiClient({ transport: 'kubectl', kubectl: { kubeconfig: away }, timeoutMs: 60_000 });
    await expect(api.get('/api/v1/nodes/x')).rejects.toMatchObject({
      code: 'API_UNREACHABLE',
      transient: true,
    });
    await other.stop();
  });
});

describe('programs that take the place of kubectl', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-kubectl-'));
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  const NODE = '{"kind":"Node","metadata":{"name":"n"}}';

  function program(script: string): ApiClient {
    const file = join(directory, `kubectl-${String(Math.random()).slice(2)}`);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    return new ApiClient({
      transport: 'kubectl',
      kubectl: { program: file },
      timeoutMs: 60_000,
      maxAnswerBytes: 100_000,
    });
  }

  const get = (script: string): Promise<object | undefined> => program(script).get('/api/v1/nodes/n');

  test('that is not installed', async () => {
    vi.stubEnv('PATH', directory);
    const api = new ApiClient({ transport: 'kubectl', kubectl: { program: 'no-such-kubectl' } });
    await expect(api.get('/api/v1/nodes/n')).rejects.toMatchObject({
      name: 'KubeletError',
      code: 'API_KUBECTL',
      message: expect.stringMatching(
        /no-such-kubectl cannot be started: there is no such program. Install kubectl/,
      ) as string,
    });
  });

  test.each(['a file that nobody may run', 'a folder that may not be searched'])(
    'whose name leads to %s',
    async (what) => {
      const closed = join(directory, 'closed');
      mkdirSync(closed, { recursive: true });
      writeFileSync(join(closed, 'some-kubectl'), 'x');
      // Root may search every folder.
      if (what.startsWith('a folder') && process.getuid?.() !== 0) chmodSync(closed, 0);
      vi.stubEnv('PATH', closed);
      const api = new ApiClient({ transport: 'kubectl', kubectl: { program: 'some-kubectl' } });
      await expect(api.get('/api/v1/nodes/n')).rejects.toMatchObject({
        code: 'API_KUBECTL',
        message: expect.stringMatching(
          /some-kubectl cannot be started: no folder of PATH .* \(EACCES\)\. Install kubectl/,
        ) as string,
      });
      chmodSync(closed, 0o700);
    },
  );

  test('that is not executable', async () => {
    const file = join(directory, 'plain');
    writeFileSync(file, 'x');
    const api = new ApiClient({ transport: 'kubectl', kubectl: { program: file } });
    await expect(api.get('/api/v1/nodes/n')).rejects.toMatchObject({
      code: 'API_KUBECTL',
      message: expect.stringContaining('EACCES') as string,
    });
  });

  test('that prints a warning first, on either stream', async () => {
    const node = { kind: 'Node', metadata: { name: 'n' } };
    expect(await get(`echo 'W1127 warning: old client' >&2; echo '${NODE}'`)).toEqual(node);
    expect(await get(`echo 'Warning: use --foo'; echo 'and more'; echo '${NODE}'`)).toEqual(node);
    expect(
      await get(`printf 'Unable to connect to the server of the plugin\\n' >&2; echo '${NODE}'`),
    ).toEqual(node);
  });

  test('is called with arguments, and never by a shell', async () => {
    const api = program(`printf '{"kind":"%s"}' "$(printf '%s|' "$@" | sed 's/"//g')"`);
    expect(await api.get('/api/v1/nodes/$(id);`id`')).toEqual({
      kind: 'get|--raw|/api/v1/nodes/$(id);`id`|',
    });
  });

  test.each([
    [
      'prints a warning before its error',
      'echo W >&2; echo "Error from server (NotFound): x" >&2; exit 1',
      undefined,
    ],
    ['is refused', 'echo "Error from server (Forbidden): no" >&2; exit 1', 'API_FORBIDDEN'],
    [
      'is not known',
      'echo "error: You must be logged in to the server (Unauthorized)" >&2; exit 1',
      'API_UNAUTHENTICATED',
    ],
    [
      'meets an unknown authority',
      'echo "Unable to connect to the server: tls: failed to verify certificate: x509: unknown" >&2; exit 1',
      'API_CERTIFICATE_NOT_TRUSTED',
    ],
    ['meets a server that fails', 'echo "Error from server: etcdserver: timeout" >&2; exit 1', 'API_FAILED'],
    ['fails without a word', 'exit 3', 'API_KUBECTL'],
    ['kills itself', 'kill -9 $$', 'API_KUBECTL'],
    ['prints nothing', 'exit 0', 'API_BAD_ANSWER'],
    ['prints HTML', 'echo "<html>"', 'API_BAD_ANSWER'],
    ['prints more than the limit', 'head -c 200000 /dev/zero', 'API_TOO_LARGE'],
  ])('one that %s', async (_, script, code) => {
    if (code === undefined) expect(await get(script)).toBeUndefined();
    else await expect(get(script)).rejects.toMatchObject({ name: 'KubeletError', code });
  });

  test('one that never ends', async () => {
    const file = join(directory, 'endless');
    writeFileSync(file, '#!/bin/sh\nexec sleep 1000\n');
    chmodSync(file, 0o755);
    const api = new ApiClient({ transport: 'kubectl', kubectl: { program: file }, timeoutMs: 200 });
    await expect(api.get('/api/v1/nodes/n')).rejects.toMatchObject({ code: 'API_TIMED_OUT' });
    const slow = new ApiClient({ transport: 'kubectl', kubectl: { program: file } });
    const controller = new AbortController();
    const call = slow.get('/api/v1/nodes/n', { signal: controller.signal });
    setTimeout(() => {
      controller.abort('enough');
    }, 50);
    await expect(call).rejects.toBe('enough');
  });

  test('one whose own child keeps its output open: the limit is kept, and the next call has a turn', async () => {
    const script = (end: string): ApiClient => {
      const file = join(directory, `holding-${end.length.toString()}`);
      // The child outlives every limit here, and ends with the file that it watches.
      writeFileSync(file, `#!/bin/sh\nwhile [ -e ${file} ]; do sleep 0.2; done &\n${end}\n`);
      chmodSync(file, 0o755);
      return new ApiClient({ transport: 'kubectl', kubectl: { program: file }, timeoutMs: 300 });
    };
    for (const api of [script('wait'), script(`echo '${NODE}'`)]) {
      const calls = Array.from({ length: 6 }, () => api.get('/api/v1/nodes/n'));
      for (const call of await Promise.allSettled(calls)) {
        expect(call).toMatchObject({ status: 'rejected', reason: { code: 'API_TIMED_OUT' } });
      }
    }
  });

  test('complaints of any length do no harm, and its error is at their end', async () => {
    expect(await get(`head -c 200000000 /dev/zero >&2; echo '${NODE}'`)).toMatchObject({ kind: 'Node' });
    await expect(
      get('head -c 1000000 /dev/zero >&2; { echo; echo "Error from server (Forbidden): no"; } >&2; exit 1'),
    ).rejects.toMatchObject({ code: 'API_FORBIDDEN' });
  });

  test('one that would print for ever ends with the limit of bytes', async () => {
    await expect(get('yes')).rejects.toMatchObject({ code: 'API_TOO_LARGE' });
  });

  test('an empty name is none', () => {
    for (const name of ['program', 'kubeconfig', 'context']) {
      expect(() => new ApiClient({ transport: 'kubectl', kubectl: { [name]: '' } })).toThrow(
        new TypeError(`Expected kubectl.${name} not to be empty`),
      );
    }
  });

  test.skipIf(needs({ programs: ['prlimit'] }))(
    'is not started without a descriptor for its pipes',
    async () => {
      const api = program(`echo '${NODE}'`);
      await api.get('/api/v1/nodes/n');
      const prlimit = `prlimit --pid ${String(process.pid)} --nofile`;
      const soft = execFileSync('sh', ['-c', `${prlimit} -o SOFT --noheadings`], { encoding: 'utf8' }).trim();
      // Started now: later there is no descriptor for it.
      const restore = spawn('sh', ['-c', `read _; ${prlimit}=${soft}:`], {
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      await once(restore, 'spawn');
      try {
        execFileSync('sh', ['-c', `${prlimit}=3:`]);
        await expect(api.get('/api/v1/nodes/n')).rejects.toMatchObject({
          code: 'API_KUBECTL',
          message: expect.stringContaining('cannot be started: EMFILE') as string,
        });
      } finally {
        restore.stdin.end('\n');
        await once(restore, 'exit');
      }
      expect(await api.get('/api/v1/nodes/n')).toMatchObject({ kind: 'Node' });
    },
  );

  test('at most four run at once', async () => {
    const log = join(directory, 'log');
    const api = program(
      `echo + >> ${log}; sleep 0.1; grep -c . ${log} > /dev/null; echo - >> ${log}; echo '${NODE}'`,
    );
    await Promise.all(Array.from({ length: 12 }, () => api.get('/api/v1/nodes/n')));
    let [running, most] = [0, 0];
    for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
      running += line === '+' ? 1 : -1;
      most = Math.max(most, running);
    }
    expect(running).toBe(0);
    expect(most).toBeLessThanOrEqual(4);
  });
});
