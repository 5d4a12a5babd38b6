import { status } from '@grpc/grpc-js';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  VolumeCapability_AccessMode_Mode as Mode,
  type VolumeCapability,
} from '../../../src/csi/v1/index.js';
import { needs } from '../../support/needs.js';
import { BLOCK, DIRECTORY, withMode } from './capabilities.js';
import { loopDevices, shareDriver, type Workplace } from './workplace.js';

const SIZE = 1n << 22n;

let created = 0;

/** A volume on its way through stage, publish and back. */
class TestVolume {
  readonly staging: string;
  readonly target: string;

  private constructor(
    readonly place: Workplace,
    readonly volumeId: string,
    readonly capability: VolumeCapability,
  ) {
    this.staging = place.newDirectory();
    this.target = place.newPath();
  }

  static async create(place: Workplace, name: string, capability: VolumeCapability): Promise<TestVolume> {
    const { volume } = await place.caller.call('createVolume', {
      // Tests share a driver, and no volume.
      name: `${name}-${String(++created)}`,
      volumeCapabilities: [capability],
      capacityRange: { requiredBytes: SIZE, limitBytes: SIZE },
    });
    return new TestVolume(place, volume!.volumeId, capability);
  }

  /** The fields of all requests. */
  get request() {
    const { volumeId, staging: stagingTargetPath, target: targetPath, capability } = this;
    return { volumeId, stagingTargetPath, targetPath, volumeCapability: capability };
  }

  async bring(): Promise<void> {
    await this.place.caller.call('nodeStageVolume', this.request);
    await this.place.caller.call('nodePublishVolume', this.request);
  }

  async takeAway(): Promise<void> {
    await this.place.caller.call('nodeUnpublishVolume', this.request);
    await this.place.caller.call('nodeUnstageVolume', this.request);
  }

  async code(...[rpc, request = {}]: Parameters<Workplace['caller']['failure']>): Promise<status> {
    return (await this.place.caller.failure(rpc, { ...this.request, ...request })).code;
  }
}

let place: Workplace;

const use = (shared: Workplace): void => {
  place = shared;
};

const WAYS = [
  { how: 'symlinks', args: ['--place-by', 'symlink'], skip: false as const },
  { how: 'bind mounts', args: ['--place-by', 'mount'], skip: needs({ root: true }) },
];

describe.each(WAYS)('a directory placed by $how', ({ args, skip }) => {
  describe.skipIf(skip)('with a driver that runs', () => {
    let volume: TestVolume;

    shareDriver({ args }, use);

    beforeEach(async () => {
      volume = await TestVolume.create(place, 'directory', DIRECTORY);
    });

    test('is the same wherever it is published, and what is written stays', async () => {
      await volume.bring();
      writeFileSync(join(volume.target, 'file'), 'content');
      const second = place.newPath();
      await place.caller.call('nodePublishVolume', { ...volume.request, targetPath: second });
      expect(readFileSync(join(second, 'file'), 'utf8')).toBe('content');
      await place.caller.call('nodeUnpublishVolume', { ...volume.request, targetPath: second });
      await volume.takeAway();
      expect(existsSync(volume.target)).toBe(false);
      expect(readdirSync(volume.staging)).toEqual([]);
      await volume.bring();
      expect(readFileSync(join(volume.target, 'file'), 'utf8')).toBe('content');
    });

    test('is published into an empty directory that is there already', async () => {
      mkdirSync(volume.target);
      await volume.bring();
      writeFileSync(join(volume.target, 'file'), '');
      await volume.takeAway();
      expect(existsSync(volume.target)).toBe(false);
    });

    test('is staged into a directory that nobody has made', async () => {
      rmdirSync(volume.staging);
      await volume.bring();
      await volume.takeAway();
      expect(existsSync(volume.staging)).toBe(true);
    });

    test('is placed by a driver and taken away by the one after it', async () => {
      await volume.bring();
      writeFileSync(join(volume.target, 'file'), 'content');
      place.driver.kill('SIGKILL');
      await place.driver.ended;
      await place.start({ args });
      expect(readFileSync(join(volume.target, 'file'), 'utf8')).toBe('content');
      // As if nothing had been.
      await volume.bring();
      const { usage } = await place.caller.call('nodeGetVolumeStats', {
        ...volume.request,
        volumePath: volume.target,
      });
      expect(usage).not.toEqual([]);
      await place.driver.stop();
      expect(readFileSync(join(volume.target, 'file'), 'utf8')).toBe('content');
      await place.start({ args });
      await volume.takeAway();
      await place.caller.call('deleteVolume', volume.request);
      expect(place.mountPoints()).toEqual([]);
    });

    test('that is not staged there is not published', async () => {
      expect(await volume.code('nodePublishVolume')).toBe(status.FAILED_PRECONDITION);
      expect(await volume.code('nodePublishVolume', { stagingTargetPath: '' })).toBe(
        status.FAILED_PRECONDITION,
      );
      await place.caller.call('nodeStageVolume', volume.request);
      const elsewhere = { stagingTargetPath: place.newDirectory() };
      expect(await volume.code('nodePublishVolume', elsewhere)).toBe(status.FAILED_PRECONDITION);
      expect(existsSync(volume.target)).toBe(false);
    });

    test('that is in use is not deleted', async () => {
      await place.caller.call('nodeStageVolume', volume.request);
      expect(await volume.code('deleteVolume')).toBe(status.FAILED_PRECONDITION);
      await place.caller.call('nodePublishVolume', volume.request);
      expect(await volume.code('deleteVolume')).toBe(status.FAILED_PRECONDITION);
      await volume.takeAway();
      await place.caller.call('deleteVolume', volume.request);
    });

    test('is no block device', async () => {
      const asBlock = { volumeCapability: BLOCK };
      expect(await volume.code('nodeStageVolume', asBlock)).toBe(status.INVALID_ARGUMENT);
    });

    test.each(['relative/path', '/', '/..', `/${'p'.repeat(4095)}`, '/with/\0'])(
      'is not placed at %j',
      async (path) => {
        for (const rpc of ['nodeStageVolume', 'nodeUnstageVolume'] as const) {
          expect(await volume.code(rpc, { stagingTargetPath: path })).toBe(status.INVALID_ARGUMENT);
        }
        for (const rpc of ['nodePublishVolume', 'nodeUnpublishVolume'] as const) {
          expect(await volume.code(rpc, { targetPath: path })).toBe(status.INVALID_ARGUMENT);
        }
      },
    );

    test.each([
      'with a space',
      'quoted \' " `',
      '$(touch never)',
      '-rf',
      'new\nline',
      'b\\040s',
      '\u00e4',
      'parent with a space /target',
      'parent with a line end\n/target',
    ])('is placed at a path %j', async (name) => {
      const targetPath = join(place.directory, name);
      mkdirSync(dirname(targetPath), { recursive: true });
      await volume.bring();
      await place.caller.call('nodePublishVolume', { ...volume.request, targetPath });
      await place.caller.call('nodePublishVolume', { ...volume.request, targetPath });
      writeFileSync(join(targetPath, 'file'), 'content');
      expect(readFileSync(join(volume.target, 'file'), 'utf8')).toBe('content');
      await place.caller.call('nodeUnpublishVolume', { ...volume.request, targetPath });
      expect(existsSync(targetPath)).toBe(false);
    });

    test('is placed below a symlink, as below a kubelet that was moved', async () => {
      const link = place.newPath();
      symlinkSync(place.newDirectory(), link);
      const targetPath = join(link, 'target');
      await volume.bring();
      for (let count = 0; count < 2; count++) {
        await place.caller.call('nodePublishVolume', { ...volume.request, targetPath });
      }
      const stats = { volumeId: volume.volumeId, volumePath: targetPath };
      expect((await place.caller.call('nodeGetVolumeStats', stats)).usage).not.toEqual([]);
      await place.caller.call('nodeUnpublishVolume', { ...volume.request, targetPath });
      expect(existsSync(targetPath)).toBe(false);
    });

    test('costs nothing that stands in its way', async () => {
      await place.caller.call('nodeStageVolume', volume.request);
      const [file, full, link] = [place.newPath(), place.newDirectory(), place.newPath()];
      const elsewhere = place.newDirectory();
      writeFileSync(file, 'precious');
      writeFileSync(join(full, 'file'), 'precious');
      writeFileSync(join(elsewhere, 'file'), 'precious');
      symlinkSync(elsewhere, link);
      for (const targetPath of [file, link]) {
        expect(await volume.code('nodePublishVolume', { targetPath })).toBe(status.FAILED_PRECONDITION);
      }
      for (const targetPath of [file, full, link]) {
        expect(await volume.code('nodeUnpublishVolume', { targetPath })).toBeGreaterThan(status.OK);
      }
      expect(readFileSync(file, 'utf8')).toBe('precious');
      expect(readFileSync(join(full, 'file'), 'utf8')).toBe('precious');
      expect(readFileSync(join(link, 'file'), 'utf8')).toBe('precious');
    });

    test('does not take the place of another volume, nor take that away', async () => {
      const other = await TestVolume.create(place, 'other', DIRECTORY);
      await volume.bring();
      await other.bring();
      writeFileSync(join(other.target, 'file'), 'content');
      const targetPath = other.target;
      expect(await volume.code('nodePublishVolume', { targetPath })).toBe(status.FAILED_PRECONDITION);
      expect(await volume.code('nodeUnpublishVolume', { targetPath })).toBe(status.FAILED_PRECONDITION);
      expect(readFileSync(join(other.target, 'file'), 'utf8')).toBe('content');
    });

    test('is taken away again and again', async () => {
      await place.caller.call('nodeUnpublishVolume', volume.request);
      await place.caller.call('nodeUnstageVolume', volume.request);
      await volume.bring();
      await volume.takeAway();
      await volume.takeAway();
      const nowhere = {
        targetPath: join(place.newPath(), 'target'),
        stagingTargetPath: join(place.newPath(), 'staging'),
      };
      await place.caller.call('nodeUnpublishVolume', { ...volume.request, ...nowhere });
      await place.caller.call('nodeUnstageVolume', { ...volume.request, ...nowhere });
    });

    test('is changed by one caller after the other', async () => {
      await place.caller.call('nodeStageVolume', volume.request);
      const calls = Array.from({ length: 8 }, () => place.caller.call('nodePublishVolume', volume.request));
      await Promise.all(calls);
      await volume.takeAway();
      expect(existsSync(volume.target)).toBe(false);
    });
  });
});

describe.skipIf(needs({ root: true }))('two pods that share a volume', () => {
  shareDriver({ args: ['--place-by', 'mount'] }, use);

  test('have it unpublished at the same time', async () => {
    const volume = await TestVolume.create(place, 'shared', DIRECTORY);
    await volume.bring();
    const targetPath = place.newPath();
    await place.caller.call('nodePublishVolume', { ...volume.request, targetPath });
    await Promise.all([
      place.caller.call('nodeUnpublishVolume', volume.request),
      place.caller.call('nodeUnpublishVolume', { ...volume.request, targetPath }),
    ]);
    expect([volume.target, targetPath].filter((path) => existsSync(path))).toEqual([]);
    await volume.takeAway();
  });
});

describe('a driver that may not mount', () => {
  shareDriver({ args: ['--place-by', 'symlink'] }, use);

  test('has no read-only volumes', async () => {
    const volume = await TestVolume.create(place, 'writable', DIRECTORY);
    await place.caller.call('nodeStageVolume', volume.request);
    expect(await volume.code('nodePublishVolume', { readonly: true })).toBe(status.INVALID_ARGUMENT);
    expect(existsSync(volume.target)).toBe(false);
  });
});

describe.skipIf(needs({ root: true }))('a driver that may mount', () => {
  let volume: TestVolume;

  shareDriver({}, use);

  beforeEach(async () => {
    volume = await TestVolume.create(place, 'mounted', DIRECTORY);
  });

  test('publishes read-only where it is asked to, and the volume stays writable elsewhere', async () => {
    const readOnly = { ...volume.request, targetPath: place.newPath(), readonly: true };
    await volume.bring();
    for (let count = 0; count < 2; count++) await place.caller.call('nodePublishVolume', readOnly);
    writeFileSync(join(volume.target, 'file'), 'content');
    expect(readFileSync(join(readOnly.targetPath, 'file'), 'utf8')).toBe('content');
    expect(() => {
      writeFileSync(join(readOnly.targetPath, 'file'), '');
    }).toThrow('EROFS');
    expect(await volume.code('nodePublishVolume', { readonly: true })).toBe(status.ALREADY_EXISTS);
    expect(await volume.code('nodePublishVolume', { ...readOnly, readonly: false })).toBe(
      status.ALREADY_EXISTS,
    );
    await place.caller.call('nodeUnpublishVolume', readOnly);
    expect(existsSync(readOnly.targetPath)).toBe(false);
  });

  test('publishes read-only to a reader', async () => {
    const volumeCapability = withMode(DIRECTORY, Mode.SINGLE_NODE_READER_ONLY);
    await place.caller.call('nodeStageVolume', { ...volume.request, volumeCapability });
    await place.caller.call('nodePublishVolume', { ...volume.request, volumeCapability });
    expect(() => {
      writeFileSync(join(volume.target, 'file'), '');
    }).toThrow('EROFS');
  });

  test('leaves what others have mounted', async () => {
    await place.caller.call('nodeStageVolume', volume.request);
    mkdirSync(volume.target);
    execFileSync('mount', ['-t', 'tmpfs', 'kvm-test', volume.target]);
    expect(await volume.code('nodePublishVolume')).toBe(status.FAILED_PRECONDITION);
    expect(await volume.code('nodeUnpublishVolume')).toBe(status.FAILED_PRECONDITION);
    expect(place.mountPoints()).toContain(volume.target);
    const stats = { volumeId: volume.volumeId, volumePath: volume.target };
    expect((await place.caller.failure('nodeGetVolumeStats', stats)).code).toBe(status.NOT_FOUND);
  });

  test('says that a volume is busy, and takes it away when it is not', async () => {
    await volume.bring();
    const file = openSync(join(volume.target, 'file'), 'w');
    try {
      const failure = await place.caller.failure('nodeUnpublishVolume', volume.request);
      expect(failure).toMatchObject({
        code: status.INTERNAL,
        details: expect.stringContaining('busy') as string,
      });
    } finally {
      closeSync(file);
    }
    await volume.takeAway();
    expect(place.mountPoints()).toEqual([]);
  });
});

describe.skipIf(needs({ root: true }))('a directory that is a mount of its own', () => {
  shareDriver({}, use);

  test('is brought, taken away and deleted like any other', async () => {
    const volume = await TestVolume.create(place, 'disk', DIRECTORY);
    const data = join(place.dataRoot, 'volumes', volume.volumeId, 'data');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'kvm-test', data]);
    for (let count = 0; count < 2; count++) await volume.bring();
    expect(statfsSync(volume.target).blocks * statfsSync(volume.target).bsize).toBe(1024 * 1024);
    expect(place.mountPoints().sort()).toEqual([data, volume.staging, volume.target].sort());
    expect(await volume.code('deleteVolume')).toBe(status.FAILED_PRECONDITION);
    await volume.takeAway();
    expect(place.mountPoints()).toEqual([data]);
    await place.caller.call('deleteVolume', volume.request);
  });
});

describe.skipIf(needs({ root: true }))('a driver whose data root is itself a bind mount', () => {
  shareDriver({}, use);

  test('finds its mounts all the same', async () => {
    const volume = await TestVolume.create(place, 'mounted', DIRECTORY);
    await place.driver.stop();
    const moved = place.newDirectory();
    execFileSync('mount', ['--bind', place.dataRoot, moved]);
    await place.start({ args: ['--data-root', moved] });
    for (let count = 0; count < 2; count++) await volume.bring();
    expect(await volume.code('deleteVolume')).toBe(status.FAILED_PRECONDITION);
    await volume.takeAway();
    expect(place.mountPoints()).toEqual([moved]);
  });
});

describe.skipIf(needs({ root: true, loop: true }))('a block volume', () => {
  let volume: TestVolume;

  shareDriver({}, use);

  beforeEach(async () => {
    volume = await TestVolume.create(place, 'block', BLOCK);
  });

  test('is a device, the same wherever it is published, and what is written stays', async () => {
    await volume.bring();
    expect(lstatSync(volume.target).isBlockDevice()).toBe(true);
    const second = place.newPath();
    await place.caller.call('nodePublishVolume', { ...volume.request, targetPath: second });
    expect(statSync(second).rdev).toBe(statSync(volume.target).rdev);
    write(volume.target, 'content');
    await place.caller.call('nodeUnpublishVolume', { ...volume.request, targetPath: second });
    await volume.takeAway();
    expect(existsSync(volume.target)).toBe(false);
    expect(loopDevices(place.directory)).toEqual([]);
    await volume.bring();
    expect(read(volume.target, 7)).toBe('content');
  });

  test('is placed once, however often it is asked for, also by the next driver', async () => {
    for (let count = 0; count < 3; count++) await volume.bring();
    place.driver.kill('SIGKILL');
    await place.driver.ended;
    await place.start();
    await volume.bring();
    expect(loopDevices(place.directory)).toHaveLength(1);
    expect(place.mountPoints()).toEqual([volume.target]);
    expect(await volume.code('deleteVolume')).toBe(status.FAILED_PRECONDITION);
    await volume.takeAway();
    await volume.takeAway();
    await place.caller.call('deleteVolume', volume.request);
    expect(loopDevices(place.directory)).toEqual([]);
  });

  test('stays attached as long as it is published', async () => {
    await volume.bring();
    expect(await volume.code('nodeUnstageVolume')).toBe(status.FAILED_PRECONDITION);
    await volume.takeAway();
  });

  test('is not read-only', async () => {
    await place.caller.call('nodeStageVolume', volume.request);
    expect(await volume.code('nodePublishVolume', { readonly: true })).toBe(status.INVALID_ARGUMENT);
  });

  test('is not published over a file with something in it', async () => {
    await place.caller.call('nodeStageVolume', volume.request);
    writeFileSync(volume.target, 'precious');
    expect(await volume.code('nodePublishVolume')).toBe(status.FAILED_PRECONDITION);
    expect(await volume.code('nodeUnpublishVolume')).toBe(status.FAILED_PRECONDITION);
    expect(readFileSync(volume.target, 'utf8')).toBe('precious');
    unlinkSync(volume.target);
    mkdirSync(volume.target);
    expect(await volume.code('nodePublishVolume')).toBe(status.FAILED_PRECONDITION);
  });
});

function write(device: string, text: string): void {
  const file = openSync(device, 'r+');
  writeSync(file, text);
  closeSync(file);
}

function read(device: string, bytes: number): string {
  const file = openSync(device, 'r');
  const buffer = Buffer.alloc(bytes);
  readSync(file, buffer);
  closeSync(file);
  return buffer.toString();
}
