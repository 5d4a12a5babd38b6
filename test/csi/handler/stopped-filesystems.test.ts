import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NodeGetVolumeStatsOptions } from '../../../src/csi/index.js';
import { VolumeUsage_Unit } from '../../../src/csi/v1/index.js';
import { MetricsStatFs } from '../../../src/index.js';
import { TestMounts } from '../../support/mounts.js';
import { needs } from '../../support/needs.js';
import { serve, type Outcome } from './stats-server.js';

/** FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH, which Node has no call for. */
const SHUT_DOWN =
  'import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack("I",2))';

describe.skipIf(needs({ loop: true, mkfs: ['ext4', 'xfs'], programs: ['python3', 'findmnt'] }))(
  'the health of a filesystem',
  () => {
    let mounts: TestMounts;

    beforeEach(() => {
      mounts = new TestMounts();
    });
    afterEach(() => {
      mounts.close();
    });

    const ask = async (
      path: string,
      options: NodeGetVolumeStatsOptions<'ts-proto'> = {},
    ): Promise<Outcome> => {
      const server = await serve({ health: true, ...options });
      return await server.ask('v', path);
    };
    const conditionOf = (outcome: Outcome): unknown =>
      'response' in outcome ? outcome.response.volumeCondition : outcome;
    const optionsOf = (path: string): string =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .find((line) => line.includes(` ${path} `)) ?? '';

    test.each(['ext4', 'xfs'] as const)('of %s that works is normal', async (type) => {
      expect(conditionOf(await ask(mounts.onLoop(type)))).toMatchObject({ abnormal: false });
    });

    test.each(['ext4', 'xfs'] as const)('of %s that was shut down is abnormal', async (type) => {
      const path = mounts.onLoop(type);
      execFileSync('python3', ['-c', SHUT_DOWN, path]);
      // Older kernels do not list it for ext4.
      const abnormal = type === 'xfs' || optionsOf(path).includes('shutdown');
      const providerFor = (): MetricsStatFs => new MetricsStatFs(path);
      for (const options of [{}, { providerFor }]) {
        expect(conditionOf(await ask(path, options))).toMatchObject({ abnormal });
      }
    });

    test('that went read-only after an error is abnormal, and its numbers stay', async () => {
      const path = mounts.onLoop('ext4');
      execFileSync('mount', ['-o', 'remount,errors=remount-ro', path]);
      const device = basename(execFileSync('findmnt', ['-no', 'SOURCE', path], { encoding: 'utf8' }).trim());
      writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, '1');
      // Older kernels make the whole filesystem read-only instead.
      const isListed = optionsOf(path).includes('emergency_ro');
      const outcome = await ask(path);
      expect(outcome).toMatchObject({ response: { usage: [{ unit: VolumeUsage_Unit.BYTES }, {}] } });
      expect(conditionOf(outcome)).toEqual({
        abnormal: isListed,
        message: isListed ? `${path}: the filesystem went read-only after an error` : 'the volume answers',
      });
    });

    test('made read-only on purpose is normal', async () => {
      const path = mounts.tmpfs();
      mounts.makeReadOnly(path);
      expect(conditionOf(await ask(path))).toMatchObject({ abnormal: false });
    });

    test('of 0 blocks has no bytes, instead of 0', async () => {
      const outcome = await ask(mounts.tmpfs('size=0,nr_inodes=0'), { health: false });
      expect(outcome).toMatchObject({
        details: expect.stringMatching(/^the capacity of .* is not known$/) as string,
      });
      const counted = await ask(mounts.tmpfs('size=0,nr_inodes=1k'));
      expect(counted).toMatchObject({ response: { usage: [{ unit: VolumeUsage_Unit.INODES }] } });
      expect('response' in counted && counted.response.usage.length).toBe(1);
    });
  },
);
