import { checkedText } from '../../options.js';

/**
 * The longest path that fits the kernel's sockaddr_un with its closing NUL. Node silently cuts a longer one.
 */
export const LONGEST_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

/**
 * The absolute path of the unix socket that an endpoint names: `/abs`, `unix:/abs` or `unix:///abs`, the
 * scheme in any case. These are the forms of `CSI_ENDPOINT` and of the orchestrators' flags.
 *
 * @param endpoint - the endpoint
 * @returns the path
 * @throws TypeError for any other form: another scheme or a network address, a relative path,
 * `unix://name/...` (where the name would be a host), a line break, a path over 107 bytes (103 on macOS)
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
  // `host:port` looks like a scheme too. Neither is a socket of this machine.
  if (scheme !== undefined && scheme.toLowerCase() !== 'unix') return refuse('CSI uses unix sockets only');
  const path = rest.startsWith('//') && scheme !== undefined ? rest.slice(2) : rest;
  if (!path.startsWith('/')) {
    return refuse(path === rest ? 'the path is relative' : 'what follows unix:// is a host, not a path');
  }
  if (path.includes('\0')) return refuse('it contains a NUL');
  // gRPC does not parse a target that contains one.
  if (/[\n\r\u2028\u2029]/.test(path)) return refuse('it contains a line break');
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_SOCKET_PATH_BYTES) {
    return refuse(
      `the path has ${String(bytes)} bytes, and a socket's has at most ${String(LONGEST_SOCKET_PATH_BYTES)}`,
    );
  }
  // In `unix://a/b`, which it would become, `a` is a host.
  return path.replace(/^\/+/, '/');
}
