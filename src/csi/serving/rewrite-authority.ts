import { Transform, type TransformCallback } from 'node:stream';

/** What every HTTP/2 connection begins with. */
const PREFACE_BYTES = 24;

/** Length (3 bytes), type, flags, stream (4 bytes). */
const FRAME_HEADER_BYTES = 9;

const TYPE_HEADERS = 1;
const FLAG_PADDED = 0x08;
const FLAG_PRIORITY = 0x20;

/** The exclusive bit with the stream that this one depends on, and its weight. */
const PRIORITY_BYTES = 5;

/** What a frame of a server that has not asked for larger ones may have. */
const LONGEST_FRAME_BYTES = 16_384;

/** The index of `:authority` in HPACK's static table. */
const AUTHORITY_INDEX = 1;

const LOCALHOST = Buffer.from('\x09localhost', 'latin1');

/**
 * The bytes that a gRPC client sends, with `localhost` as the `:authority` of every call. Up to 1.57, grpc-go
 * sends a socket's path there (kubernetes/kubernetes#112597), and Node's HTTP/2 resets such a call before any
 * handler sees it (grpc/grpc-node#258).
 *
 * Only literal fields are replaced. The entries of HPACK's dynamic table keep their order, so whatever the
 * client refers to later is found. Frames that cannot be understood pass as they are, for the server to
 * judge.
 */
export class RewriteAuthority extends Transform {
  #held: Buffer = Buffer.alloc(0);
  /** Bytes that pass as they are before the next frame begins. */
  #passing = PREFACE_BYTES;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (this.#step());
    callback();
  }

  override _flush(callback: TransformCallback): void {
    callback(null, this.#held);
  }

  /** Passes on what is held of one frame; false if that needs more bytes. */
  #step(): boolean {
    if (this.#held.length === 0) return false;
    if (this.#passing > 0) {
      this.#passing -= this.#pass(Math.min(this.#passing, this.#held.length));
      return true;
    }
    if (this.#held.length < FRAME_HEADER_BYTES) return false;
    const length = this.#held.readUIntBE(0, 3);
    if (this.#held[3] !== TYPE_HEADERS || length > LONGEST_FRAME_BYTES) {
      this.#passing = FRAME_HEADER_BYTES + length;
      return true;
    }
    if (this.#held.length < FRAME_HEADER_BYTES + length) return false;
    this.push(withLocalhost(this.#held.subarray(0, FRAME_HEADER_BYTES + length)));
    this.#held = this.#held.subarray(FRAME_HEADER_BYTES + length);
    return true;
  }

  #pass(bytes: number): number {
    this.push(this.#held.subarray(0, bytes));
    this.#held = this.#held.subarray(bytes);
    return bytes;
  }
}

/** A HEADERS frame with another `:authority`. */
function withLocalhost(frame: Buffer): Buffer {
  const flags = frame[4] ?? 0;
  if ((flags & FLAG_PADDED) !== 0) return frame;
  const value = authorityValue(
    frame,
    FRAME_HEADER_BYTES + ((flags & FLAG_PRIORITY) === 0 ? 0 : PRIORITY_BYTES),
  );
  if (value === undefined) return frame;
  const changed = Buffer.concat([frame.subarray(0, value.start), LOCALHOST, frame.subarray(value.end)]);
  const length = changed.length - FRAME_HEADER_BYTES;
  if (length > LONGEST_FRAME_BYTES) return frame;
  changed.writeUIntBE(length, 0, 3);
  return changed;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where the value of a literal `:authority` is in a header block (RFC 7541, 6), its length included. */
function authorityValue(block: Buffer, start: number): Span | undefined {
  let at = start;
  while (at < block.length) {
    const first = block[at] ?? 0;
    const isLiteral = (first & 0x80) === 0 && (first & 0xe0) !== 0x20;
    const prefixBits = (first & 0x80) !== 0 ? 7 : (first & 0x40) !== 0 ? 6 : isLiteral ? 4 : 5;
    const index = integerAt(block, at, prefixBits);
    if (index === undefined) return undefined;
    at = index.end;
    if (!isLiteral) continue;
    // A name of its own comes before the value.
    for (let strings = index.value === 0 ? 2 : 1; strings > 0; strings -= 1) {
      const length = integerAt(block, at, 7);
      if (length === undefined || length.end + length.value > block.length) return undefined;
      const end = length.end + length.value;
      if (index.value === AUTHORITY_INDEX) return { start: at, end };
      at = end;
    }
  }
  return undefined;
}

/** An integer of HPACK (RFC 7541, 5.1); undefined if it is cut off, or larger than any length here. */
function integerAt(
  block: Buffer,
  at: number,
  prefixBits: number,
): { readonly value: number; readonly end: number } | undefined {
  const most = 2 ** prefixBits - 1;
  const prefix = (block[at] ?? 0) & most;
  if (at >= block.length) return undefined;
  if (prefix < most) return { value: prefix, end: at + 1 };
  let value = most;
  for (let i = 0; i < 3; i += 1) {
    const byte = block[at + 1 + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if ((byte & 0x80) === 0) return { value, end: at + 2 + i };
  }
  return undefined;
}
