import { checkedText } from '../options.js';

/** The longest path that fits the kernel's sockaddr_un with its closing NUL. Node cuts a longer one without a word. */
const LONGEST_BYTES = process.platform === 'darwin' ? 103 : 107;

/**
 * The absolute path of the unix socket that an endpoint names: `/abs`, `unix:/abs` or `unix:///abs`, the scheme in any
 * case, as `CSI_ENDPOINT` and the orchestrators' flags have it.
 *
 * @param endpoint - the endpoint
 * @returns the path
 * @throws TypeError for anything else: another scheme or a network address, a relative path, `unix://name/...` (where the name would
 * be a host), a line break, a path over 107 bytes (103 on macOS)
 */
export function socketPath(endpoint: string): string {
  checkedText('endpoint', endpoint);
  const refuse = (why: string): never => {
    throw new TypeError(
      `Expected endpoint to be the absolute path of a unix socket, such as unix:///csi/csi.sock, got ${JSON.stringify(endpoint)}: ${why}`,
    );
  };
  if (endpoint === '') return refuse('it is empty');
  const [, scheme, rest = endpoint] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(endpoint) ?? [];
  // `host:port` reads as a scheme too; either way it is no socket of this machine.
  if (scheme !== undefined && scheme.toLowerCase() !== 'unix')
    return refuse('CSI is spoken over unix sockets only');
  const path = rest.startsWith('//') && scheme !== undefined ? rest.slice(2) : rest;
  if (!path.startsWith('/')) {
    return refuse(path === rest ? 'the path is relative' : 'what follows unix:// is a host, not a path');
  }
  if (path.includes('\0')) return refuse('it has a NUL');
  // A gRPC target with one is no target.
  if (/[\n\r\u2028\u2029]/.test(path)) return refuse('it has a line break');
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_BYTES) {
    return refuse(`the path has ${String(bytes)} bytes, and a socket's has at most ${String(LONGEST_BYTES)}`);
  }
  // In `unix://a/b`, which it would become, `a` is a host.
  return path.replace(/^\/+/, '/');
}
