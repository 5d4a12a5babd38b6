import { status } from '@grpc/grpc-js';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VolumeCapability_AccessMode_Mode as Mode, type Volume } from '../../../src/csi/v1/index.js';
import { needs } from '../../support/needs.js';
import { BLOCK, DIRECTORY, withMode } from './capabilities.js';
import { Workplace } from './workplace.js';

const GIB = 2n ** 30n;
const TIB = 2n ** 40n;

let place: Workplace;

beforeAll(async () => {
  place = new Workplace();
  await place.start({ args: ['--place-by', 'symlink'] });
});

afterAll(async () => {
  await place.close();
});

type CreateRequest = Parameters<typeof place.caller.call<'createVolume'>>[1];

async function create(name: string, request: CreateRequest = {}): Promise<Volume> {
  const { volume } = await place.caller.call('createVolume', {
    name,
    volumeCapabilities: [DIRECTORY],
    ...request,
  });
  return volume!;
}

async function refused(
  name: string,
  request: CreateRequest = {},
): Promise<{ code: status; details: string }> {
  return await place.caller.failure('createVolume', { name, volumeCapabilities: [DIRECTORY], ...request });
}

function folders(): string[] {
  return readdirSync(join(place.dataRoot, 'volumes'));
}

describe('a name', () => {
  test.each([
    '../../../etc/passwd',
    '/etc/passwd',
    '.',
    '..',
    '.new-volume',
    ' ',
    'a\nb\tc\r',
    '%2e%2e%2f',
    '$(reboot)',
    "'; rm -rf /; '",
    '--help',
    '\u{1f4be} Datenträger',
    '\u00e4'.repeat(64),
    'n'.repeat(128),
  ])('may be %j: no path has it', async (name) => {
    const { volumeId } = await create(name);
    expect(volumeId).toMatch(/^vol-[0-9a-f]{32}$/);
    expect(folders()).toContain(volumeId);
    expect(folders().every((each) => /^vol-[0-9a-f]{32}$/.test(each))).toBe(true);
    expect((await create(name)).volumeId).toBe(volumeId);
    await place.caller.call('deleteVolume', { volumeId });
  });

  test.each([
    ['of 129 bytes', 'n'.repeat(129)],
    ['of 128 characters and 256 bytes', '\u00e4'.repeat(128)],
    ['with a NUL', 'a\0b'],
    ['with an escape', 'a\u001b[31m'],
    ['with a control of 8 bits', 'a\u0085'],
  ])('%s is refused', async (_, name) => {
    expect((await refused(name)).code).toBe(status.INVALID_ARGUMENT);
  });

  test('that differs is another volume', async () => {
    const [one, other] = [await create('name'), await create('Name')];
    expect(one.volumeId).not.toBe(other.volumeId);
  });
});

describe('an id', () => {
  test.each(['../volumes', '..', '.', '/', '/etc', '\0', 'vol-', 'a'.repeat(100_000), '--help', 'a\nb'])(
    'that is invalid (%#) finds nothing, and touches nothing',
    async (volumeId) => {
      const before = folders();
      const capability = { volumeId, volumeCapabilities: [DIRECTORY] };
      const [stagingTargetPath, targetPath] = [place.newPath(), place.newPath()];
      const request = { volumeId, stagingTargetPath, targetPath, volumeCapability: DIRECTORY };
      await expect(place.caller.call('deleteVolume', { volumeId })).resolves.toEqual({});
      for (const failure of [
        place.caller.failure('validateVolumeCapabilities', capability),
        place.caller.failure('nodeStageVolume', request),
        place.caller.failure('nodePublishVolume', request),
        place.caller.failure('nodeUnpublishVolume', request),
        place.caller.failure('nodeUnstageVolume', request),
      ]) {
        expect((await failure).code).toBe(status.NOT_FOUND);
      }
      expect(folders()).toEqual(before);
      expect(existsSync(stagingTargetPath)).toBe(false);
      expect(existsSync(targetPath)).toBe(false);
    },
  );
});

describe('a size', () => {
  test.each([
    ['nothing', undefined, GIB],
    ['a minimum', { requiredBytes: 5n, limitBytes: 0n }, 5n],
    ['a maximum above the default', { requiredBytes: 0n, limitBytes: 2n * GIB }, GIB],
    ['a maximum below the default', { requiredBytes: 0n, limitBytes: 1000n }, 1000n],
    ['exactly so much', { requiredBytes: 16n * TIB, limitBytes: 16n * TIB }, 16n * TIB],
  ])('of %s', async (name, capacityRange, capacityBytes) => {
    const volume = await create(`size: ${name}`, capacityRange && { capacityRange });
    expect(volume.capacityBytes).toBe(capacityBytes);
  });

  test.each([
    ['negative', { requiredBytes: -1n, limitBytes: 0n }, status.INVALID_ARGUMENT],
    ['a negative maximum', { requiredBytes: 0n, limitBytes: -1n }, status.INVALID_ARGUMENT],
    ['a minimum above the maximum', { requiredBytes: 2n, limitBytes: 1n }, status.INVALID_ARGUMENT],
    ['larger than can be', { requiredBytes: 16n * TIB + 1n, limitBytes: 0n }, status.OUT_OF_RANGE],
    ['the largest of all', { requiredBytes: 2n ** 63n - 1n, limitBytes: 0n }, status.OUT_OF_RANGE],
  ])('that is %s is refused', async (name, capacityRange, code) => {
    expect((await refused(`no size: ${name}`, { capacityRange })).code).toBe(code);
  });

  test('in the range of a second call is the same volume, outside of it another one', async () => {
    const { volumeId } = await create('sized', { capacityRange: { requiredBytes: GIB, limitBytes: 0n } });
    const inRange = { requiredBytes: 1n, limitBytes: 2n * GIB };
    expect(await create('sized', { capacityRange: inRange })).toMatchObject({ volumeId, capacityBytes: GIB });
    expect(await create('sized')).toMatchObject({ volumeId, capacityBytes: GIB });
    for (const capacityRange of [
      { requiredBytes: GIB + 1n, limitBytes: 0n },
      { requiredBytes: 0n, limitBytes: GIB - 1n },
    ]) {
      expect((await refused('sized', { capacityRange })).code).toBe(status.ALREADY_EXISTS);
    }
  });
});

describe('a capability', () => {
  const toCome: Mode = JSON.parse('99') as Mode;

  test.each([
    ['without a type', { accessMode: { mode: Mode.SINGLE_NODE_WRITER } }],
    ['without an access mode', { mount: DIRECTORY.mount }],
    ['of an unknown access mode', withMode(DIRECTORY, Mode.UNKNOWN)],
    ['of an access mode to come', withMode(DIRECTORY, toCome)],
    ['of several nodes', withMode(DIRECTORY, Mode.MULTI_NODE_MULTI_WRITER)],
    ['of one pod alone', withMode(DIRECTORY, Mode.SINGLE_NODE_SINGLE_WRITER)],
    ['of readers alone, where nothing can be mounted', withMode(DIRECTORY, Mode.SINGLE_NODE_READER_ONLY)],
    ['of a block device, where nothing can be mounted', BLOCK],
    [
      'with mount flags',
      { ...DIRECTORY, mount: { fsType: '', mountFlags: ['noatime'], volumeMountGroup: '' } },
    ],
    ['with a group', { ...DIRECTORY, mount: { fsType: '', mountFlags: [], volumeMountGroup: '1000' } }],
  ])('%s is refused, and not confirmed', async (name, capability) => {
    const volumeCapabilities = [capability];
    expect((await refused(`capability ${name}`, { volumeCapabilities })).code).toBe(status.INVALID_ARGUMENT);
    const { volumeId } = await create('capable');
    const answer = await place.caller.call('validateVolumeCapabilities', { volumeId, volumeCapabilities });
    expect(answer.confirmed).toBeUndefined();
    expect(answer.message).not.toBe('');
    const failure = await place.caller.failure('nodeStageVolume', {
      volumeId,
      stagingTargetPath: place.newPath(),
      volumeCapability: capability,
    });
    expect(failure.code).toBe(status.INVALID_ARGUMENT);
  });

  test('of a filesystem by name is taken: a directory has the one that it is in', async () => {
    const mount = { fsType: 'ext4', mountFlags: [], volumeMountGroup: '' };
    await create('with a filesystem', { volumeCapabilities: [{ ...DIRECTORY, mount }] });
  });
});

describe('parameters', () => {
  test('that are unknown are refused, but those of Kubernetes for nobody in particular', async () => {
    expect(await refused('unknown', { parameters: { speed: 'high' } })).toEqual({
      code: status.INVALID_ARGUMENT,
      details: 'there is no parameter "speed"',
    });
    await create('known', { parameters: { 'csi.storage.k8s.io/pvc/name': 'claim' } });
  });

  test('that differ make another volume of it', async () => {
    await create('with parameters', { parameters: { abnormal: 'as a test' } });
    expect((await refused('with parameters')).code).toBe(status.ALREADY_EXISTS);
    await create('with parameters', { parameters: { abnormal: 'as a test', 'csi.storage.k8s.io/x': 'y' } });
  });

  test('are confirmed when they are the same', async () => {
    const parameters = { abnormal: 'to be confirmed' };
    const { volumeId } = await create('to be confirmed', { parameters });
    const request = { volumeId, volumeCapabilities: [DIRECTORY] };
    const { confirmed } = await place.caller.call('validateVolumeCapabilities', { ...request, parameters });
    expect(confirmed?.parameters).toEqual(parameters);
    const other = { ...request, parameters: { abnormal: 'of another kind' } };
    expect((await place.caller.call('validateVolumeCapabilities', other)).confirmed).toBeUndefined();
  });
});

test('callers that make the same volume at once all get it', async () => {
  const request = { name: 'wanted by many', volumeCapabilities: [DIRECTORY] };
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => place.caller.call('createVolume', request)),
  );
  expect(new Set(answers.map(({ volume }) => volume!.volumeId)).size).toBe(1);
  expect(folders().filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a deleted volume takes its data along, and its name makes an empty one', async () => {
  const { volumeId } = await create('short-lived');
  const data = join(place.dataRoot, 'volumes', volumeId, 'data');
  expect(statSync(data).mode & 0o777).toBe(0o777);
  await place.caller.call('deleteVolume', { volumeId });
  expect(folders().filter((name) => name === volumeId || name.startsWith('.'))).toEqual([]);
  await create('short-lived');
  expect(readdirSync(data)).toEqual([]);
});

test('neither secrets nor contexts come into the log, whether a call succeeds or fails', async () => {
  const secret = 'correct-horse-battery-staple';
  const map = { password: secret };
  const contexts = { secrets: map, volumeContext: map, publishContext: map };
  const { volumeId } = await create('secretive', { secrets: map });
  await refused('secretive', { secrets: map, parameters: { abnormal: 'other' } });
  const [stagingTargetPath, targetPath] = [place.newPath(), place.newPath()];
  const request = { volumeId, stagingTargetPath, targetPath, volumeCapability: DIRECTORY, ...contexts };
  await place.caller.failure('nodePublishVolume', request);
  await place.caller.call('nodeStageVolume', request);
  await place.caller.call('nodePublishVolume', request);
  await place.caller.failure('deleteVolume', { volumeId, secrets: map });
  await place.caller.failure('validateVolumeCapabilities', {
    volumeId: 'none',
    volumeCapabilities: [DIRECTORY],
    ...contexts,
  });
  await place.driver.said('ValidateVolumeCapabilities "none" failed');
  const log = place.driver.lines.join('\n');
  expect(log).toContain(`NodePublishVolume "${volumeId}" is done`);
  expect(log).not.toContain(secret);
});

test('no request can write lines of its own into the log', async () => {
  await refused('evil\u0000name\nNodePublishVolume "other" is done');
  expect(await place.driver.said('evil')).toMatch(/^CreateVolume "evil.*failed with INVALID_ARGUMENT/);
  const { volumeId } = await create('good');
  const stagingTargetPath = '/evil-path\nNodePublishVolume "other" is done';
  const request = { volumeId, stagingTargetPath, targetPath: place.newPath(), volumeCapability: DIRECTORY };
  await place.caller.failure('nodePublishVolume', request);
  expect(await place.driver.said('evil-path')).toMatch(
    /^NodePublishVolume "vol-.*failed with FAILED_PRECONDITION/,
  );
  expect(place.driver.lines.filter((each) => each.startsWith('NodePublishVolume "other"'))).toEqual([]);
});

describe.skipIf(needs({ root: true, loop: true }))('block volumes', () => {
  let blocks: Workplace;

  beforeAll(async () => {
    blocks = new Workplace();
    await blocks.start();
  });

  afterAll(async () => {
    await blocks.close();
  });

  test('are sparse files of whole pages', async () => {
    const { volume } = await blocks.caller.call('createVolume', {
      name: 'block',
      volumeCapabilities: [BLOCK],
      capacityRange: { requiredBytes: GIB + 1n, limitBytes: 0n },
    });
    expect(volume!.capacityBytes).toBe(GIB + 4096n);
    const image = statSync(join(blocks.dataRoot, 'volumes', volume!.volumeId, 'image'));
    expect(BigInt(image.size)).toBe(GIB + 4096n);
    expect(image.blocks).toBe(0);
    const description = readFileSync(
      join(blocks.dataRoot, 'volumes', volume!.volumeId, 'volume.json'),
      'utf8',
    );
    expect(JSON.parse(description)).toMatchObject({ kind: 'block', capacityBytes: String(GIB + 4096n) });
  });

  test('that fit no page are out of range', async () => {
    const request = {
      name: 'tiny',
      volumeCapabilities: [BLOCK],
      capacityRange: { requiredBytes: 1n, limitBytes: 4095n },
    };
    expect((await blocks.caller.failure('createVolume', request)).code).toBe(status.OUT_OF_RANGE);
  });

  test('are not directories, and no volume is both', async () => {
    await blocks.caller.call('createVolume', { name: 'either', volumeCapabilities: [BLOCK] });
    const asDirectory = { name: 'either', volumeCapabilities: [DIRECTORY] };
    expect((await blocks.caller.failure('createVolume', asDirectory)).code).toBe(status.ALREADY_EXISTS);
    const asBoth = { name: 'both', volumeCapabilities: [BLOCK, DIRECTORY] };
    expect((await blocks.caller.failure('createVolume', asBoth)).code).toBe(status.INVALID_ARGUMENT);
  });
});
