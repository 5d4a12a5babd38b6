import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { needs } from '../../support/needs.js';
import { Workplace } from './workplace.js';

// The program itself, for whoever has it: `CSI_SANITY=/path/to/csi-sanity npx vitest run test/examples`. It
// is built from kubernetes-csi/csi-test with Go, and no package has it; so without it this is no failure,
// even where nothing else may be skipped. What it asserts is in csi-sanity.test.ts.

const program = process.env['CSI_SANITY'] ?? '';
if (program === '') console.log('skipped: CSI_SANITY does not name the program csi-sanity');

const WAYS = [
  { how: 'symlinks', args: ['--place-by', 'symlink'], accessType: 'mount', skip: false as const },
  { how: 'bind mounts', args: ['--place-by', 'mount'], accessType: 'mount', skip: needs({ root: true }) },
  { how: 'block devices', args: [], accessType: 'block', skip: needs({ root: true, loop: true }) },
];

describe.skipIf(program === '')('csi-sanity', () => {
  let place: Workplace;

  beforeEach(() => {
    place = new Workplace();
  });

  afterEach(async () => {
    await place.close();
  });

  for (const { how, args, accessType, skip } of WAYS) {
    test.skipIf(skip)(`has nothing to complain about volumes as ${how}`, { timeout: 300_000 }, async () => {
      await place.start({ args });
      const ended = await promisify(execFile)(program, [
        `--csi.endpoint=${place.socket}`,
        `--csi.mountdir=${join(place.directory, 'csi-mount')}`,
        `--csi.stagingdir=${join(place.directory, 'csi-staging')}`,
        `--csi.testvolumeaccesstype=${accessType}`,
      ]).catch((error: unknown) => error as { stdout: string });
      expect(ended.stdout).toContain('SUCCESS!');
      expect(ended).not.toBeInstanceOf(Error);
    });
  }
});
