import { describe, expect, test } from 'vitest';
import { Failures, together } from '../../../src/os/commands/failures.js';
import type { Message } from '../../../src/os/commands/messages.js';

function message(path: string | undefined, code: string | undefined, program = 'find'): Message {
  return { program, path, code, text: `${program}: ${String(path)}: ${String(code)}` };
}

interface Circumstances {
  root?: string;
  path?: string;
  leftOut?: readonly string[];
  allowPartial?: boolean;
}

function failures({
  root = '/v',
  path = '/v',
  leftOut = [],
  allowPartial = false,
}: Circumstances = {}): Failures {
  return new Failures(root, path, leftOut, allowPartial);
}

describe.each([true, false])('allowPartial: %s', (allowPartial) => {
  test.each(['ENOENT', 'ENOTDIR'])('%s of an entry: it has vanished', (code) => {
    const met = failures({ allowPartial });
    met.add(message('/v/a', code));
    expect(met.incomplete).toBeUndefined();
  });

  test('ENOENT of the root: it is gone', () => {
    expect(() => {
      failures({ root: '/v', path: '/v/', allowPartial }).add(message('/v', 'ENOENT'));
    }).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/v/', syscall: 'find' }));
  });

  test('what nice complains of does not matter', () => {
    const met = failures({ allowPartial });
    met.add(message(undefined, 'EACCES', 'nice'));
    expect(met.incomplete).toBeUndefined();
  });

  test('errors of mount points that are left out do not matter', () => {
    const met = failures({ leftOut: ['/v/m'], allowPartial });
    met.add(message('/v/m', 'ENOTCONN'));
    expect(met.incomplete).toBeUndefined();
  });

  test.each([
    message('/usr/bin/stat', 'E2BIG'),
    message('/vv', 'EACCES'),
    message(undefined, undefined),
    message('/v/a', undefined),
  ])('what is not about an entry fails the walk: $text', (each) => {
    expect(() => {
      failures({ allowPartial }).add(each);
    }).toThrow(expect.objectContaining({ code: 'METRICS_USAGE_FAILED', path: '/v' }));
  });
});

test('an error of an entry fails the walk, naming it', () => {
  expect(() => {
    failures().add(message('/v/caf\xc3\xa9', 'EACCES', 'du'));
  }).toThrow(expect.objectContaining({ code: 'EACCES', path: '/v/caf\u00e9', syscall: 'du' }));
  expect(() => {
    failures({ root: '/' }).add(message('/a', 'EIO'));
  }).toThrow(expect.objectContaining({ code: 'EIO', path: '/a' }));
});

test('ELOOP is an error as any other: no command meets it because an entry was replaced', () => {
  expect(() => {
    failures().add(message('/v/a', 'ELOOP'));
  }).toThrow(expect.objectContaining({ code: 'ELOOP', path: '/v/a' }));
});

test('or is counted, where that is allowed', () => {
  const met = failures({ allowPartial: true });
  met.add(message('/v/a', 'EACCES'));
  met.add(message('/v/b', 'EIO'));
  met.add(message('/v', 'EACCES'));
  expect(met.incomplete).toEqual({ errors: 3, first: { path: '/v/a', code: 'EACCES' } });
});

test('two commands report the same entries', () => {
  const one = { errors: 2, first: { path: '/v/a', code: 'EACCES' } };
  const other = { errors: 3, first: { path: '/v/b', code: 'EIO' } };
  expect(together(one, other)).toEqual({ errors: 3, first: one.first });
  expect(together(undefined, other)).toBe(other);
  expect(together(one, undefined)).toBe(one);
  expect(together(undefined, undefined)).toBeUndefined();
});
