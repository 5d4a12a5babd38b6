import { status } from '@grpc/grpc-js';
import type { ServerHttp2Stream } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { CsiNodeClient, MetricsCsi, type CsiCall } from '../../../src/csi/index.js';
import { answerWith, frame, RawDriver } from './raw-driver.js';

const USAGE = frame(Buffer.from('0a0808631064180120010a080807100a18032002', 'hex'));
const MAX = 2 ** 32 - 1;

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

async function providerOf(
  answer: (stream: ServerHttp2Stream) => void,
  calls: CsiCall[] = [],
): Promise<MetricsCsi> {
  const driver = await RawDriver.start(answer);
  ends.push(() => {
    driver.close();
  });
  const client = new CsiNodeClient(driver.socket, { onCall: (call) => calls.push(call) });
  ends.push(() => {
    client.close();
  });
  return new MetricsCsi({ client, volumeId: 'v', volumePath: '/p' });
}

test('frames by hand are understood', async () => {
  const provider = await providerOf((stream) => {
    answerWith(stream, USAGE);
  });
  expect(await provider.getMetrics()).toMatchObject({ capacity: 100n, inodes: 10n });
});

const withStatus =
  (code: string) =>
  (stream: ServerHttp2Stream): void => {
    answerWith(stream, Buffer.alloc(0), { trailers: { 'grpc-status': code, 'grpc-message': 'odd' } });
  };

test.each<[string, (stream: ServerHttp2Stream) => void, status, RegExp]>([
  ['a status that has no name', withStatus('99'), status.UNKNOWN, /: the answer has the status 99: odd$/],
  ['a negative status', withStatus('-1'), status.UNKNOWN, /: the answer has the status -1: odd$/],
  ['a status that is no number', withStatus('x'), status.UNKNOWN, /: the answer has the status NaN: odd$/],
  [
    'a compression that it does not name',
    (stream) => {
      answerWith(stream, frame(gzipSync(USAGE), true));
    },
    status.UNKNOWN,
    /: the answer cannot be read$/,
  ],
  [
    'a compression that has no name',
    (stream) => {
      answerWith(stream, frame(USAGE, true), { headers: { 'grpc-encoding': 'odd' } });
    },
    status.UNKNOWN,
    /: the answer cannot be read$/,
  ],
  [
    'a message that unpacks to 20 MiB',
    (stream) => {
      const packed = frame(gzipSync(Buffer.alloc(20 * 1024 * 1024)), true);
      answerWith(stream, packed, { headers: { 'grpc-encoding': 'gzip' } });
    },
    status.RESOURCE_EXHAUSTED,
    /decompresses to a size larger than/,
  ],
  [
    'a message that claims 4 GiB and never comes',
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const head = Buffer.alloc(5);
      head.writeUInt32BE(MAX, 1);
      stream.write(head);
    },
    status.RESOURCE_EXHAUSTED,
    /Received message larger than max/,
  ],
  [
    'OK and no message',
    (stream) => {
      answerWith(stream, Buffer.alloc(0));
    },
    status.UNIMPLEMENTED,
    /No message received/,
  ],
  [
    'a web page',
    (stream) => {
      stream.respond({ ':status': 404, 'content-type': 'text/html' });
      stream.end('<html>');
    },
    status.UNIMPLEMENTED,
    /HTTP status code 404/,
  ],
  [
    'a reset of the call',
    (stream) => {
      stream.close(2);
    },
    status.INTERNAL,
    /RST_STREAM with code 2/,
  ],
])('a driver that answers with %s has failed', async (_, answer, code, message) => {
  const calls: CsiCall[] = [];
  const provider = await providerOf(answer, calls);
  await expect(provider.getMetrics()).rejects.toMatchObject({
    code: 'METRICS_CSI_FAILED',
    path: '/p',
    message: expect.stringMatching(message) as string,
    cause: { code },
  });
  expect(calls.at(-1)?.code).toBe(code);
});
