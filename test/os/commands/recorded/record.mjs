// Makes the recordings beside this file: what GNU's commands and BusyBox's really print. Run as root, where
// nothing is at /volume: node test/os/commands/recorded/record.mjs
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FuseServer } from '../../../support/fuse.mjs';

const VOLUME = '/volume';
const here = fileURLToPath(new URL('.', import.meta.url));
const busybox = mkdtempSync(join(tmpdir(), 'record-busybox-'));
chmodSync(busybox, 0o755);
for (const name of ['stat', 'df', 'du', 'find', 'readlink']) symlinkSync('/usr/bin/busybox', join(busybox, name));

const DIRECTORIES = { gnu: '/usr/bin', busybox };

/**
 * Records what one command line gives: `stdout`, `stderr`, or both in a row.
 *
 * @param name - of the recording, behind the dialect and before the stream
 */
function record(name, streams, command, args, { dialects = ['gnu', 'busybox'], user = 0, lines = Infinity } = {}) {
  for (const dialect of dialects) {
    const directory = DIRECTORIES[dialect];
    const said = spawnSync(join(directory, command), args.map((arg) => arg.replace('BIN', directory)), {
      cwd: '/',
      env: { LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      uid: user,
      gid: user,
    });
    const whole = streams.map((stream) => said[stream].toString('latin1')).join('').replaceAll(busybox, '/usr/bin');
    const text = whole.split('\n').slice(0, lines).join('\n');
    writeFileSync(join(here, `${dialect}-${name}.txt`), Buffer.from(text, 'latin1'));
  }
}

const OUT = ['stdout'];
const ERR = ['stderr'];
const GNU = { dialects: ['gnu'] };
const BUSYBOX = { dialects: ['busybox'] };
const NOBODY = 65534;
const STAT = ['-L', '-c', '%f %t %T %s %d %i %b', '--'];
const STATFS = ['-f', '-c', '%t %b %f %a %c %d %S', '--'];
const DF = ['-P', '-B', '1', '--'];
const FIND = ['-H', '/volume/tree', '-mindepth', '1', '-xdev'];
const INODES = [...FIND, '(', '-type', 'd', '-o', '-links', '1', ')', '-printf', '%D\\n', '-o', '-printf', '%D %i\\n'];

/** Names that are hard to quote. */
const ODD = [
  'plain', "it's", 'a space', 'new\nline', 'tab\there', 'q"uote', `both'"`, 'back\\slash', 'caf\u00e9', 'ctl\x01\x7f',
  'colon: ends', '-dash', '$dollar', 'return\r', "quote'\nline",
];
const NOT_UTF8 = Buffer.from('/volume/odd/bad\xff\xfename', 'latin1');

mkdirSync(VOLUME);
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,nr_inodes=1000,mode=755', 'recording', VOLUME]);
const fuse = new FuseServer();
try {
  for (const command of ['stat', 'du', 'find']) {
    record(`version-${command}`, ['stdout', 'stderr'], command, ['--version'], { lines: 2 });
  }

  mkdirSync('/volume/tree/sub/deep', { recursive: true });
  writeFileSync('/volume/tree/file', 'eleven byte');
  writeFileSync('/volume/tree/sub/more', Buffer.alloc(10_000));
  linkSync('/volume/tree/file', '/volume/tree/sub/link');
  symlinkSync('file', '/volume/tree/symlink');
  symlinkSync('loop', '/volume/loop');
  execFileSync('mknod', ['/volume/device', 'b', '3000', '1000000']);
  execFileSync('mkfifo', ['/volume/fifo']);
  for (const name of ['tree', 'tree/file', 'tree/symlink', 'device', 'fifo']) {
    record(`stat-${name.replace('/', '-')}`, OUT, 'stat', [...STAT, join(VOLUME, name)]);
  }
  mkdirSync('/volume/locked', { mode: 0o700 });
  for (const [errno, path] of [
    ['ENOENT', '/volume/missing: nothing'], ['ENOTDIR', '/volume/tree/file/x'], ['ELOOP', '/volume/loop'],
    ['ENAMETOOLONG', `/volume/${'x'.repeat(256)}`], ['EACCES', '/volume/locked/x'],
  ]) {
    record(`stat-${errno}`, ERR, 'stat', [...STAT, path], { user: NOBODY });
    record(`statfs-${errno}`, ERR, 'stat', [...STATFS, path], { user: NOBODY });
  }

  const large = { bsize: 1 << 20, frsize: 4096, blocks: 120699413n, bfree: 100000000n, bavail: 90000000n };
  const wrapped = { blocks: 1000n, bfree: 2n ** 63n, bavail: 2n ** 64n - 5n, files: 2n ** 63n - 1n, ffree: 2n ** 64n - 1n };
  for (const [name, path] of [
    ['tmpfs', VOLUME], ['proc', '/proc'],
    ['large', (await fuse.mount({ statfs: large })).path], ['wrapped', (await fuse.mount({ statfs: wrapped })).path],
  ]) {
    record(`statfs-${name}`, OUT, 'stat', [...STATFS, path]);
    record(`df-${name}`, OUT, 'df', [...DF, path], BUSYBOX);
  }
  const odd = '/volume/a mount\n100% here';
  mkdirSync(odd);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'a source\n1 2 3', odd]);
  record('df-odd', OUT, 'df', [...DF, odd], BUSYBOX);
  execFileSync('umount', [odd]);
  record('df-device', OUT, 'df', [...DF, '/dev/null'], BUSYBOX);

  record('du', OUT, 'du', ['-x', '-D', '-B', '1', '-0', '-d', '1', '--', '/volume/tree'], GNU);
  record('find-inodes', OUT, 'find', INODES, GNU);
  record('find-stat', OUT, 'find', [...FIND, '-exec', 'BIN/stat', '-c', '%d %f %h %b %i', '--', '{}', '+']);

  mkdirSync('/volume/odd');
  for (const path of [...ODD.map((name) => join('/volume/odd', name)), NOT_UTF8]) {
    mkdirSync(path);
    chmodSync(path, 0);
  }
  record('du-unreadable', ERR, 'du', ['-x', '--', '/volume/odd'], { ...GNU, user: NOBODY });
  record('find-unreadable', ERR, 'find', ['-H', '/volume/odd', '-mindepth', '1'], { user: NOBODY });
  record('stat-vanished', ERR, 'stat', ['-c', '%d', '--', ...ODD.map((name) => `/volume/gone/${name}`)]);
  record('du-vanished', ERR, 'du', ['-x', '--', '/volume/gone'], GNU);
  record('find-vanished', ERR, 'find', ['-H', '/volume/gone', '-mindepth', '1']);
} finally {
  await fuse.close();
  execFileSync('umount', ['-l', VOLUME]);
  rmdirSync(VOLUME);
  rmSync(busybox, { recursive: true });
}
