import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseVolData, readVolData } from '../../../src/kubelet/disk/vol-data.js';
import { recordedText } from '../recorded.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvm-vol-data-'));
  path = join(folder, 'vol_data.json');
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const read = () => parseVolData(readVolData(path));

describe('a vol_data.json', () => {
  test.each(
    recordedText('1.26', 'vol_data.txt')
      .split('\n')
      .filter((line) => line.startsWith('{')),
  )('of a real kubelet is read whole: %s', (text) => {
    writeFileSync(path, text);
    expect(read()).toEqual(JSON.parse(text));
  });

  test('may have keys that are not known, and values of another type: they are left out', () => {
    writeFileSync(
      path,
      '{"driverName":"d","volumeHandle":7,"specVolID":null,"new":"x","__proto__":{"nodeName":"n"}}',
    );
    expect(read()).toEqual({ driverName: 'd' });
  });

  test.each([
    ['missing', (): void => undefined, 'vol_data.json is missing'],
    [
      'empty',
      () => {
        writeFileSync(path, '');
      },
      'vol_data.json is empty: the kubelet was about to write it, or its disk was full',
    ],
    [
      'cut short',
      () => {
        writeFileSync(path, '{"driverName":"d","volu');
      },
      'vol_data.json is not JSON: the kubelet was about to write it, or its disk was full',
    ],
    [
      'not an object',
      () => {
        writeFileSync(path, '[]');
      },
      'vol_data.json is not an object',
    ],
    [
      'null',
      () => {
        writeFileSync(path, 'null');
      },
      'vol_data.json is not an object',
    ],
    [
      'a directory',
      () => {
        mkdirSync(path);
      },
      'vol_data.json is not a regular file',
    ],
    [
      'a symlink to /dev/zero',
      () => {
        symlinkSync('/dev/zero', path);
      },
      'vol_data.json is a symlink, and is not followed',
    ],
    [
      'a symlink to nowhere',
      () => {
        symlinkSync('/nowhere', path);
      },
      'vol_data.json is a symlink, and is not followed',
    ],
    [
      'a fifo without a writer',
      () => {
        execFileSync('mkfifo', [path]);
      },
      'vol_data.json is not a regular file',
    ],
    [
      '1 GiB',
      () => {
        const file = openSync(path, 'w');
        ftruncateSync(file, 2 ** 30);
        closeSync(file);
      },
      'vol_data.json has more than 65536 bytes',
    ],
  ] as const)('that is %s is not known, and says why', (_, make, why) => {
    make();
    expect(read()).toBe(why);
  });

  test('that is a socket is not known', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(read()).toBe('vol_data.json is not a regular file');
    server.close();
  });

  test('of the largest size is read', () => {
    const text = JSON.stringify({ driverName: 'd', volumeHandle: 'h' });
    writeFileSync(path, text.padEnd(65_536));
    expect(read()).toEqual({ driverName: 'd', volumeHandle: 'h' });
  });
});
