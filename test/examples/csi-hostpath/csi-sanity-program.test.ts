import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { needs } from '../../support/needs.js';
import { Workplace } from './workplace.js';

// The program itself. `npm run test:csi-sanity` builds it with Go and runs this: a step of its own in .ci/run,
// so in `npm test` it is left out, even if nothing else may be. What it asserts is in csi-sanity.test.ts too.

const program = process.env['CSI_SANITY'] ?? '';
if (program === '') console.log('skipped: npm run test:csi-sanity runs the program csi-sanity (needs Go)');

const WAYS = [
  { how: 'symlinks', args: ['--place-by', 'symlink'], accessType: 'mount', skip: false as const },
  { how: 'bind mounts', args: ['--place-by', 'mount'], accessType: 'mount', skip: needs({ root: true }) },
  { how: 'block devices', args: [], accessType: 'block', skip: needs({ root: true, loop: true }) },
];

/** What every way must have passed, beside failing nothing: the specs of what this package is for. */
const MUST_PASS = [
  'NodeGetCapabilities should return appropriate capabilities',
  'NodeGetVolumeStats should fail when no volume id is provided',
  'NodeGetVolumeStats should fail when volume does not exist on the specified path',
  'NodeGetVolumeHealth should fail when no volume id is provided',
  'NodeGetVolumeHealth should return health for a valid volume',
  'NodeGetStorageHealth should return appropriate response',
  'Node Service should work',
  'Node Service should be idempotent',
];

interface Spec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeText: string;
  readonly LeafNodeType: string;
  readonly State: string;
}

/** The specs of a report, by what became of them; without the preparations. */
function specsOf(report: string): Record<string, string[]> {
  const suites = JSON.parse(readFileSync(report, 'utf8')) as { SpecReports: Spec[] }[];
  const byState: Record<string, string[]> = {};
  for (const spec of suites.flatMap(({ SpecReports }) => SpecReports)) {
    if (spec.LeafNodeType !== 'It') continue;
    (byState[spec.State] ??= []).push([...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' '));
  }
  return byState;
}

describe.skipIf(program === '')('csi-sanity', () => {
  let place: Workplace;

  beforeEach(() => {
    place = new Workplace();
  });

  afterEach(async () => {
    await place.close();
  });

  for (const { how, args, accessType, skip } of WAYS) {
    test.skipIf(skip)(`passes with volumes as ${how}`, { timeout: 300_000 }, async () => {
      await place.start({ args });
      const report = join(place.directory, 'report.json');
      const ended = await promisify(execFile)(program, [
        `--csi.endpoint=${place.socket}`,
        `--csi.mountdir=${join(place.directory, 'csi-mount')}`,
        `--csi.stagingdir=${join(place.directory, 'csi-staging')}`,
        `--csi.testvolumeaccesstype=${accessType}`,
        `--ginkgo.json-report=${report}`,
      ]).catch((error: unknown) => error as { stdout: string });
      expect(ended.stdout).toContain('SUCCESS!');
      expect(ended).not.toBeInstanceOf(Error);
      const { passed = [], ...others } = specsOf(report);
      console.log(
        `${how}: ${String(passed.length)} specs passed, ${String(others['skipped']?.length)} skipped`,
      );
      // Skipped: what the driver does not advertise. Pending: what csi-sanity has switched off.
      expect(Object.keys(others).sort()).toEqual(['pending', 'skipped']);
      const missing = MUST_PASS.filter((spec) => !passed.some((name) => name.endsWith(spec)));
      expect(missing, passed.join('\n')).toEqual([]);
    });
  }
});
