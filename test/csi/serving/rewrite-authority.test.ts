import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { RewriteAuthority } from '../../../src/csi/serving/rewrite-authority.js';
import { THREE_CALLS } from './grpc-go-1.47.js';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

async function rewritten(bytes: Buffer, pieceBytes = bytes.length || 1): Promise<Buffer> {
  const stream = new RewriteAuthority();
  const all = buffer(stream);
  for (let at = 0; at < bytes.length; at += pieceBytes) stream.write(bytes.subarray(at, at + pieceBytes));
  stream.end();
  return await all;
}

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, 1]);
  header.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
}

/** Index, value with its length. */
function literal(index: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([index, value.length]), value]);
}

const LOCALHOST = literal(0x41, Buffer.from('localhost'));
const PATH = literal(0x41, Buffer.from('/csi/csi.sock'));

test('the first call of grpc-go names localhost, and all else stays byte for byte', async () => {
  // A literal with the static name 1, 15 bytes in Huffman's code.
  const at = THREE_CALLS.indexOf(Buffer.from('418f', 'hex'));
  const head = Buffer.from(THREE_CALLS.subarray(0, at));
  // The length of the frame shrinks by as much as the value.
  const frameAt = THREE_CALLS.indexOf(Buffer.from('0000610104', 'hex'));
  head.writeUIntBE(0x61 - 15 + 9, frameAt, 3);
  expect(await rewritten(THREE_CALLS)).toEqual(
    Buffer.concat([head, LOCALHOST, THREE_CALLS.subarray(at + 2 + 15)]),
  );
});

test.each([1, 2, 7, 100])('pieces of %i bytes make no difference', async (pieceBytes) => {
  expect(await rewritten(THREE_CALLS, pieceBytes)).toEqual(await rewritten(THREE_CALLS));
});

test.each([
  ['without indexing', Buffer.from([0x01])],
  ['never to be indexed', Buffer.from([0x11])],
])('a literal %s is replaced as well', async (_, index) => {
  const block = Buffer.concat([Buffer.from([0x83]), index, PATH.subarray(1)]);
  const wanted = Buffer.concat([Buffer.from([0x83]), index, LOCALHOST.subarray(1)]);
  expect(await rewritten(Buffer.concat([PREFACE, frame(1, 4, block)]))).toEqual(
    Buffer.concat([PREFACE, frame(1, 4, wanted)]),
  );
});

test('what stands before it is skipped: other fields, new names, sizes of the table, a priority', async () => {
  const before = Buffer.concat([
    // The table's size, an integer of several bytes.
    Buffer.from([0x3f, 0xe1, 0x1f]),
    // A name of its own that looks like the field that is wanted, and a value of 300 bytes.
    Buffer.from([0x40, 2, 0x41, 0x0a, 127, 173, 1]),
    Buffer.alloc(300, 0x41),
  ]);
  const priority = Buffer.from([0, 0, 0, 0, 16]);
  const around = (value: Buffer): Buffer =>
    Buffer.concat([PREFACE, frame(1, 0x24, Buffer.concat([priority, before, value, Buffer.from([0x82])]))]);
  expect(await rewritten(around(PATH))).toEqual(around(LOCALHOST));
});

test.each([
  ['no frame at all', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
  ['a frame of data that looks like a header', Buffer.concat([PREFACE, frame(0, 4, PATH)])],
  ['a padded frame', Buffer.concat([PREFACE, frame(1, 0x0c, Buffer.concat([Buffer.from([0]), PATH]))])],
  ['a value longer than its frame', Buffer.concat([PREFACE, frame(1, 4, Buffer.from([0x41, 99, 1, 2]))])],
  ['an endless integer', Buffer.concat([PREFACE, frame(1, 4, Buffer.alloc(20, 0xff))])],
  [
    'a frame that is too long',
    Buffer.concat([PREFACE, frame(1, 4, Buffer.concat([PATH, Buffer.alloc(16_384)]))]),
  ],
  ['a frame that is cut off', Buffer.concat([PREFACE, frame(1, 4, PATH).subarray(0, -1)])],
  ['an empty block', Buffer.concat([PREFACE, frame(1, 4, Buffer.alloc(0))])],
  ['nothing', Buffer.alloc(0)],
])('%s passes as it is', async (_, bytes) => {
  expect(await rewritten(bytes)).toEqual(bytes);
  expect(await rewritten(bytes, 1)).toEqual(bytes);
});

test('whatever a client sends, it fails nowhere, and pieces make no difference', async () => {
  for (let i = 0; i < 300; i += 1) {
    const block = randomBytes(1 + (i % 60));
    const bytes = Buffer.concat([PREFACE, frame(1, i % 2 === 0 ? 4 : 0x24, block), frame(0, 0, block)]);
    const whole = await rewritten(bytes);
    expect(whole.subarray(0, 24)).toEqual(PREFACE);
    expect(whole.subarray(-block.length)).toEqual(block);
    expect(await rewritten(bytes, 3)).toEqual(whole);
  }
});
