import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startDriver } from '../../../examples/csi-hostpath/driver.js';
import { DIRECTORY } from './capabilities.js';
import { Workplace } from './workplace.js';

// In this process, as a program has it that runs a whole node.

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});

afterEach(async () => {
  await place.close();
});

test('starts in another program, and ends there', async () => {
  const lines: string[] = [];
  const driver = await startDriver({
    endpoint: `unix://${place.socket}`,
    dataRoot: place.dataRoot,
    placeBy: 'symlink',
    log: (line) => lines.push(line),
  });
  expect(driver).toMatchObject({ socket: place.socket, placeBy: 'symlink' });
  await place.caller.call('createVolume', { name: 'embedded', volumeCapabilities: [DIRECTORY] });
  await Promise.all([driver.close(), driver.close()]);
  expect(existsSync(place.socket)).toBe(false);
  expect(lines).toEqual([
    expect.stringContaining('listens on'),
    expect.stringMatching(/^CreateVolume "embedded" is done after \d+ ms$/),
  ]);
});

test('writes one line for each change, and shows controls in a name as escapes', async () => {
  const lines: string[] = [];
  const driver = await startDriver({
    endpoint: place.socket,
    dataRoot: place.dataRoot,
    placeBy: 'symlink',
    log: (line) => lines.push(line),
  });
  const name = 'a\u202eb\u009b31m\u2028c\u2066';
  await place.caller.call('createVolume', { name, volumeCapabilities: [DIRECTORY] }).catch(() => undefined);
  await place.caller.call('deleteVolume', { volumeId: name }).catch(() => undefined);
  await place.caller
    .failure('nodeGetVolumeStats', { volumeId: name, volumePath: '/p\u202e\n' })
    .catch(() => undefined);
  await driver.close();
  const shown = String.raw`a\u202eb\x9b31m\u2028c\u2066`;
  expect(lines.filter((line) => line.includes(shown)).length).toBeGreaterThan(0);
  for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
});

test('starts twice beside each other, with the same names for different volumes', async () => {
  const other = new Workplace();
  try {
    const drivers = await Promise.all(
      [place, other].map(({ socket, dataRoot }) =>
        startDriver({ endpoint: socket, dataRoot, placeBy: 'symlink' }),
      ),
    );
    const request = { name: 'same', volumeCapabilities: [DIRECTORY] };
    const { volume } = await place.caller.call('createVolume', request);
    const [stagingTargetPath, volumeId] = [place.newDirectory(), volume!.volumeId];
    await place.caller.call('nodeStageVolume', { volumeId, stagingTargetPath, volumeCapability: DIRECTORY });
    await other.caller.call('createVolume', request);
    const [theirs, ours] = [other, place].map(({ caller }) =>
      caller
        .failure('nodeGetVolumeStats', { volumeId, volumePath: stagingTargetPath })
        .catch(() => 'answered'),
    );
    expect(await ours).toBe('answered');
    expect(await theirs).toMatchObject({ details: expect.stringContaining('is not at') as string });
    await Promise.all(drivers.map((driver) => driver.close()));
  } finally {
    await other.close();
  }
});

test('does not start twice on one socket', async () => {
  const options = { endpoint: place.socket, dataRoot: place.dataRoot, placeBy: 'symlink' } as const;
  const driver = await startDriver(options);
  await expect(startDriver(options)).rejects.toThrow(`another process listens on ${place.socket}`);
  await driver.close();
});
