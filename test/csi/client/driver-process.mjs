// @ts-check A CSI driver in a process of its own, to be killed: gRPC by hand over node:http2, so that it
// starts fast and shares no code with what it tests. `node driver-process.mjs SOCKET` prints a line when it
// listens, and ends with its parent. Volume `v7` has 7 * 1000 + 7 bytes, of which 7 are used.
import { rmSync } from 'node:fs';
import http2 from 'node:http2';

const socket = process.argv[2] ?? '';

/** NodeGetCapabilitiesResponse with GET_VOLUME_STATS. */
const CAPABILITIES = Buffer.from('0a040a020802', 'hex');

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  /** @type {Buffer[]} */
  const chunks = [];
  stream.on('error', () => undefined);
  stream.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  stream.on('end', () => {
    const request = Buffer.concat(chunks).subarray(5);
    const response = headers[':path'] === '/csi.v1.Node/NodeGetVolumeStats' ? stats(request) : CAPABILITIES;
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
    stream.end(framed(response));
  });
});
server.on('sessionError', () => undefined);

rmSync(socket, { force: true });
server.listen(socket, () => process.stdout.write('listening\n'));
process.stdin.resume().on('end', () => process.exit());

/** @param {Buffer} request whose first field is the volume's id, of less than 128 bytes */
function stats(request) {
  const id = request.subarray(2, 2 + (request[1] ?? 0)).toString();
  const number = Number(id.slice(1));
  const [available, total, used] = [number * 1000, number * 1000 + 7, 7].map(varint);
  const usage = Buffer.from([
    0x08,
    ...(available ?? []),
    0x10,
    ...(total ?? []),
    0x18,
    ...(used ?? []),
    0x20,
    1,
  ]);
  return Buffer.from([0x0a, usage.length, ...usage]);
}

/**
 * @param {number} value
 * @returns {number[]}
 */
function varint(value) {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

/** @param {Buffer} message */
function framed(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
