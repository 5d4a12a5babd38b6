import { describe, expect, test } from 'vitest';
import { CsiNodeClient, socketPath } from '../../../src/csi/index.js';

const longest = process.platform === 'darwin' ? 103 : 107;
const pathOf = (bytes: number): string => `/${'x'.repeat(bytes - 1)}`;

describe('the path of an endpoint', () => {
  test.each([
    '/csi/csi.sock',
    'unix:/csi/csi.sock',
    'unix:///csi/csi.sock',
    'UNIX:///csi/csi.sock',
    'Unix:/csi/csi.sock',
    '//csi/csi.sock',
    'unix:////csi/csi.sock',
  ])('is the same for %s', (endpoint) => {
    expect(socketPath(endpoint)).toBe('/csi/csi.sock');
    const client = new CsiNodeClient(endpoint);
    expect(client.endpoint).toBe('/csi/csi.sock');
    client.close();
  });

  test('keeps what a path may have', () => {
    expect(socketPath('/a b/%2F:é.sock')).toBe('/a b/%2F:é.sock');
    expect(socketPath('unix:///a:b/c.sock')).toBe('/a:b/c.sock');
  });

  test.each([
    ['', 'it is empty'],
    ['csi.sock', 'the path is relative'],
    ['./csi.sock', 'the path is relative'],
    ['unix:csi.sock', 'the path is relative'],
    ['unix:', 'the path is relative'],
    ['unix://csi.sock', 'what follows unix:// is a host, not a path'],
    ['unix://localhost/csi/csi.sock', 'what follows unix:// is a host, not a path'],
    ['localhost:50051', 'CSI uses unix sockets only'],
    ['127.0.0.1:50051', 'the path is relative'],
    ['dns:///localhost:50051', 'CSI uses unix sockets only'],
    ['tcp://127.0.0.1:50051', 'CSI uses unix sockets only'],
    ['unix-abstract:csi', 'CSI uses unix sockets only'],
    ['/csi/\0.sock', 'it contains a NUL'],
    ['/csi/\n.sock', 'it contains a line break'],
    ['unix:///csi/\u2028.sock', 'it contains a line break'],
    [pathOf(longest + 1), `the path has ${String(longest + 1)} bytes`],
    [`/${'é'.repeat(longest / 2)}x`, `the path has ${String(longest + 1)} bytes`],
  ])('refuses %j', (endpoint, why) => {
    for (const refuse of [() => socketPath(endpoint), () => new CsiNodeClient(endpoint)]) {
      expect(refuse).toThrow(TypeError);
      expect(refuse).toThrow(why);
    }
  });

  test('refuses what is no string, and takes the longest path', () => {
    expect(() => socketPath(7 as unknown as string)).toThrow(
      new TypeError('Expected endpoint to be a string, got number'),
    );
    expect(socketPath(`unix://${pathOf(longest)}`)).toBe(pathOf(longest));
  });
});
