import { status } from '@grpc/grpc-js';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { VolumeChanges } from '../../../examples/csi-hostpath/volume-changes.js';
import { FuseServer, type FuseMount } from '../../support/fuse.mjs';
import { needs } from '../../support/needs.js';
import { DIRECTORY } from './capabilities.js';
import { Workplace } from './workplace.js';

/** More than the threads that Node has for files. */
const MANY = 10;

/** When the caller gives up; the driver answers before. */
const CALLER_MS = 6_000;

describe.skipIf(needs({ fuse: true }))('paths that hang', () => {
  let fuse: FuseServer;
  let place: Workplace;

  beforeAll(() => {
    fuse = new FuseServer();
  });

  afterAll(async () => {
    await fuse.close();
  });

  beforeEach(() => {
    place = new Workplace();
  });

  afterEach(async () => {
    await place.close();
  });

  async function create(name: string): Promise<string> {
    const { volume } = await place.caller.call('createVolume', { name, volumeCapabilities: [DIRECTORY] });
    return volume!.volumeId;
  }

  async function bring(volumeId: string): Promise<{ staging: string; target: string }> {
    const [staging, target] = [place.newDirectory(), place.newPath()];
    const request = { volumeId, volumeCapability: DIRECTORY, stagingTargetPath: staging, targetPath: target };
    await place.caller.call('nodeStageVolume', request);
    await place.caller.call('nodePublishVolume', request);
    return { staging, target };
  }

  /** A volume whose own directory is on a mount, so that it can hang. */
  async function onFuse(name: string): Promise<{ volumeId: string; target: string; mount: FuseMount }> {
    const volumeId = await create(name);
    const mount = await fuse.mount();
    execFileSync('mount', ['--bind', mount.path, join(place.dataRoot, 'volumes', volumeId, 'data')]);
    const { target } = await bring(volumeId);
    return { volumeId, target, mount };
  }

  test.each(['mount', 'symlink'])(
    'are given up before the caller is, and cost no other volume anything, placed by %s',
    async (how) => {
      await place.start({ args: ['--place-by', how] });
      const dead = await fuse.mount();
      const ids = await Promise.all(Array.from({ length: MANY }, (_, index) => create(`v${String(index)}`)));
      const healthy = await create('healthy');
      await dead.hold();
      const failures = ids.map((volumeId, index) =>
        place.caller.failure(
          index % 2 === 0 ? 'nodeStageVolume' : 'nodeUnpublishVolume',
          {
            volumeId,
            stagingTargetPath: join(dead.path, String(index), 'staging'),
            targetPath: join(dead.path, String(index), 'target'),
            volumeCapability: DIRECTORY,
          },
          { timeoutMs: CALLER_MS },
        ),
      );
      let ended = 0;
      for (const failure of failures) void failure.then(() => (ended += 1));
      const { target } = await bring(healthy);
      writeFileSync(join(target, 'file'), 'content');
      const stats = { volumeId: healthy, volumePath: target };
      expect((await place.caller.call('nodeGetVolumeStats', stats)).usage).not.toEqual([]);
      await place.caller.call('nodeUnpublishVolume', { volumeId: healthy, targetPath: target });
      expect(ended).toBe(0);
      for (const { code, details } of await Promise.all(failures)) {
        expect(code).toBe(status.DEADLINE_EXCEEDED);
        // What the driver says, not what the caller's own deadline does.
        expect(details).toMatch(/^(?!Deadline exceeded)/);
      }
      await dead.release();
    },
  );

  test('of volumes are abnormal volumes with their last numbers, and the others are measured meanwhile', async () => {
    await place.start();
    const hung = await Promise.all(Array.from({ length: MANY }, (_, index) => onFuse(`v${String(index)}`)));
    const healthy = await create('healthy');
    const { target } = await bring(healthy);
    const statsOf = (volumeId: string, volumePath: string) =>
      place.caller.call('nodeGetVolumeStats', { volumeId, volumePath }, { timeoutMs: CALLER_MS });
    const before = await Promise.all(hung.map((each) => statsOf(each.volumeId, each.target)));
    for (const { usage, volumeCondition } of before) {
      expect(usage).not.toEqual([]);
      expect(volumeCondition?.abnormal).toBe(false);
    }
    await Promise.all(hung.map(({ mount }) => mount.hold()));
    let ended = 0;
    const answers = hung.map(async (each) => {
      const answer = await statsOf(each.volumeId, each.target);
      ended += 1;
      return answer;
    });
    expect((await statsOf(healthy, target)).volumeCondition?.abnormal).toBe(false);
    expect(ended).toBe(0);
    for (const [index, { usage, volumeCondition }] of (await Promise.all(answers)).entries()) {
      expect(usage).toEqual(before[index]?.usage);
      expect(volumeCondition?.abnormal).toBe(true);
    }
    await Promise.all(hung.map(({ mount }) => mount.release()));
  });

  test('of a volume do not keep it from being unpublished', async () => {
    await place.start();
    const { volumeId, target, mount } = await onFuse('dead');
    await mount.hold();
    await place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target });
    expect(place.mountPoints()).not.toContain(target);
    await mount.release();
  });

  test('keep a volume from other changes as long as a command hangs on them, and no longer', async () => {
    const mount = await fuse.mount();
    await mount.hold('unanswered');
    const changes = new VolumeChanges();
    const change = (deadlineMs: number): Promise<string> =>
      changes.make('v', deadlineMs, (it) => it.run('stat', join(mount.path, 'file')));
    try {
      await expect(change(Date.now() + 500)).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
      await expect(change(Date.now() + 500)).rejects.toMatchObject({ code: status.ABORTED });
      expect(await changes.make('w', Infinity, () => Promise.resolve('another'))).toBe('another');
    } finally {
      await mount.release();
    }
    await expect
      .poll(() => changes.make('v', Infinity, () => Promise.resolve('changed')).catch(() => undefined))
      .toBe('changed');
  });
});

describe('a change of a volume', () => {
  const changes = new VolumeChanges();

  test('has an end with the time of its call', async () => {
    const work = changes.make('v', Date.now() - 1, (change) => change.run('true'));
    await expect(work).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  });

  test('says what a command complains about', async () => {
    const work = changes.make('v', Date.now() + 20_000, (change) => change.run('rmdir', '/nowhere'));
    await expect(work).rejects.toMatchObject({
      code: status.INTERNAL,
      details: expect.stringContaining('No such file or directory') as string,
    });
  });

  test('says which command there is not', async () => {
    const work = changes.make('v', Date.now() + 20_000, (change) => change.run('no-such-command'));
    await expect(work).rejects.toMatchObject({
      code: status.INTERNAL,
      details: expect.stringContaining('no-such-command') as string,
    });
  });

  test('waits for those before it, in their order, and has no part in their failures', async () => {
    const done: string[] = [];
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const first = changes.make('v', Infinity, async () => {
      await gate;
      done.push('first');
      throw new Error('on purpose');
    });
    const others = ['second', 'third'].map((name) =>
      changes.make('v', Infinity, () => Promise.resolve(done.push(name))),
    );
    await changes.make('w', Infinity, () => Promise.resolve(done.push('of another volume')));
    open();
    await expect(first).rejects.toThrow('on purpose');
    await Promise.all(others);
    expect(done).toEqual(['of another volume', 'first', 'second', 'third']);
  });

  test('that waited in vain leaves the turn to those after it', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const first = changes.make('v', Infinity, () => gate);
    const late = changes.make('v', Date.now() + 50, () => Promise.resolve());
    const last = changes.make('v', Infinity, () => Promise.resolve('changed'));
    await expect(late).rejects.toMatchObject({ code: status.ABORTED });
    open();
    await first;
    expect(await last).toBe('changed');
  });

  test('that fails leaves the volume free', async () => {
    const failed = changes.make('v', Infinity, () => Promise.reject(new Error('on purpose')));
    await expect(failed).rejects.toThrow('on purpose');
    expect(await changes.make('v', Infinity, () => Promise.resolve(1))).toBe(1);
  });
});
