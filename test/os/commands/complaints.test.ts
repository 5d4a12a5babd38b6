import { describe, expect, test } from 'vitest';
import { type Message, MessageReader } from '../../../src/os/commands/complaints.js';
import { NOT_UTF8, ODD_NAMES, recorded } from './recorded.js';
import { Failures, together } from '../../../src/os/commands/complaints.js';

function messagesIn(text: string, size = text.length): Message[] {
  const messages: Message[] = [];
  const reader = new MessageReader((message) => messages.push(message));
  for (let at = 0; at < text.length; at += size) reader.read(text.slice(at, at + size));
  reader.end();
  return messages;
}

describe.each([1, 10, 100_000])('in pieces of %i', (size) => {
  test.each([
    ['gnu', 'du'],
    ['gnu', 'find'],
    ['busybox', 'find'],
  ])('%s: the names of the directories that %s could not read', (dialect, program) => {
    const messages = messagesIn(recorded(`${dialect}-${program}-unreadable`), size);
    const paths = [...ODD_NAMES, NOT_UTF8].map((name) => `/volume/odd/${name}`);
    expect(messages.map((message) => message.path).sort()).toEqual(paths.sort());
    for (const message of messages) expect(message).toMatchObject({ program, code: 'EACCES' });
  });

  test.each(['gnu', 'busybox'])('%s: the names that stat did not find', (dialect) => {
    const messages = messagesIn(recorded(`${dialect}-stat-vanished`), size);
    expect(messages.map((message) => message.path)).toEqual(ODD_NAMES.map((name) => `/volume/gone/${name}`));
    for (const message of messages) expect(message).toMatchObject({ program: 'stat', code: 'ENOENT' });
  });
});

test.each([
  ['gnu', 'du'],
  ['gnu', 'find'],
  ['busybox', 'find'],
])('%s: a root that %s did not find', (dialect, program) => {
  expect(messagesIn(recorded(`${dialect}-${program}-vanished`))).toEqual([
    expect.objectContaining({ program, path: '/volume/gone', code: 'ENOENT' }),
  ]);
});

test('a message is told as soon as it is complete', () => {
  const messages: Message[] = [];
  const reader = new MessageReader((message) => messages.push(message));
  reader.read('find: /v/new\nline: Permission denied\nfind: /v/b');
  expect(messages.map((message) => message.path)).toEqual(['/v/new\nline']);
});

test('what is no message about an entry has no path', () => {
  expect(messagesIn('nice: cannot set niceness: Permission denied\n')).toMatchObject([
    { program: 'nice', path: undefined, code: 'EACCES' },
  ]);
  expect(messagesIn('/usr/bin/du: WARNING: Circular directory structure.\nThis means trouble.\n')).toEqual([
    {
      program: 'du',
      path: undefined,
      code: undefined,
      text: '/usr/bin/du: WARNING: Circular directory structure.\nThis means trouble.',
    },
  ]);
  expect(messagesIn('Segmentation fault')).toMatchObject([{ program: '', path: undefined }]);
});

test('an endless message is cut', () => {
  expect(messagesIn(`find: /v/${'x'.repeat(1_000_000)}`)[0]?.text.length).toBe(65_536);
});

describe('what a message means for the walk', () => {
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

    test.each([
      'du: WARNING: Circular directory structure.\nThis almost certainly means that you have a corrupted file system.',
      "find: File system loop detected; '/v/a/b' is part of the same file system loop as '/v/a'.",
    ])('a directory with the inode of one above it does not matter: %s', (text) => {
      const met = failures({ allowPartial });
      const reader = new MessageReader((each) => {
        met.add(each);
      });
      reader.read(`/usr/bin/${text}\n`);
      reader.end();
      expect(met.incomplete).toBeUndefined();
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
});
