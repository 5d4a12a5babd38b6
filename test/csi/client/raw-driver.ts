import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** NodeGetCapabilitiesResponse with GET_VOLUME_STATS. */
const CAPABILITIES = Buffer.from('0a040a020802', 'hex');

const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

/** A driver without a gRPC library, that answers NodeGetVolumeStats with frames which none would send. */
export class RawDriver {
  readonly #directory = mkdtempSync(join(tmpdir(), 'kvm-raw-'));
  readonly socket = join(this.#directory, 'csi.sock');
  readonly #server: Http2Server = createServer();

  private constructor(answer: (stream: ServerHttp2Stream) => void) {
    this.#server.on('sessionError', () => undefined);
    this.#server.on('stream', (stream, { ':path': path }) => {
      stream.on('error', () => undefined);
      stream.resume();
      stream.on('end', () => {
        if (path === '/csi.v1.Node/NodeGetVolumeStats') answer(stream);
        else answerWith(stream, frame(CAPABILITIES));
      });
    });
  }

  static async start(answer: (stream: ServerHttp2Stream) => void): Promise<RawDriver> {
    const driver = new RawDriver(answer);
    driver.#server.listen(driver.socket);
    await once(driver.#server, 'listening');
    return driver;
  }

  close(): void {
    this.#server.close();
    rmSync(this.#directory, { recursive: true });
  }
}

/** A message as gRPC frames it. */
export function frame(message: Buffer, isCompressed = false): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(isCompressed ? 1 : 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Answers with a body and headers of one's own; OK, unless `trailers` say otherwise. */
export function answerWith(
  stream: ServerHttp2Stream,
  body: Buffer,
  { headers = {}, trailers = { 'grpc-status': '0' } }: Partial<Record<'headers' | 'trailers', object>> = {},
): void {
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ ...trailers });
  });
  stream.respond({ ...HEADERS, ...headers }, { waitForTrailers: true });
  stream.end(body);
}
