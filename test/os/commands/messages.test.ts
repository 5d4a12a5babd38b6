import { describe, expect, test } from 'vitest';
import { MessageReader, type Message } from '../../../src/os/commands/messages.js';
import { NOT_UTF8, ODD_NAMES, recorded } from './recorded.js';

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
