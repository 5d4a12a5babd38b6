import { expect, test } from 'vitest';
import { DuReader } from '../../../src/os/commands/du.js';
import { recorded } from './recorded.js';

const OUTPUT = recorded('gnu-du');

test.each([1, 2, 7, OUTPUT.length])('reads the recorded output in pieces of %i', (size) => {
  const reader = new DuReader('/volume/tree');
  for (let at = 0; at < OUTPUT.length; at += size) reader.read(OUTPUT.slice(at, at + size));
  expect(reader.total).toBe(16384n);
  expect(reader.sofar).toBe(12288n);
});

test('knows no total before the line of the root', () => {
  const reader = new DuReader('/volume/tree');
  reader.read('12288\t/volume/tree/sub\x00163');
  expect(reader.total).toBeUndefined();
  expect(reader.sofar).toBe(12288n);
});

test('names may hold tabs and newlines', () => {
  const reader = new DuReader('/v\n\t1');
  reader.read('5\t/v\n\t1/9\t/v\n\t1\x008\t/v\n\t1\x00');
  expect(reader).toMatchObject({ sofar: 5n, total: 8n });
});

test('a sum of 2^64 bytes is an error, not a number', () => {
  const read = (text: string) => () => {
    new DuReader('/v').read(text);
  };
  expect(read('Infinity\t/v/caf\xc3\xa9\x00')).toThrow(
    expect.objectContaining({ code: 'EOVERFLOW', path: '/v/caf\u00e9', syscall: 'du' }),
  );
  expect(read('Infinity\t/v\x00')).toThrow(expect.objectContaining({ code: 'EOVERFLOW', path: '/v' }));
});
