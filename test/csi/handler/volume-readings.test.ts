import { expect, test } from 'vitest';
import type { CsiVolume } from '../../../src/csi/messages/csi-volume.js';
import { VolumeReadings, type VolumeReading } from '../../../src/csi/handler/volume-readings.js';

test('of more volumes than a node can have, those done longest ago are forgotten', async () => {
  let measured = 0;
  const measure = (): VolumeReading => {
    measured += 1;
    return { usage: Promise.resolve([]), condition: Promise.resolve(undefined) };
  };
  const readings = new VolumeReadings(measure, Infinity, false);
  const read = async (number: number): Promise<void> => {
    const volume: CsiVolume = { volumeId: String(number), volumePath: '/p' };
    const { usage, condition } = readings.get(volume);
    await Promise.all([usage, condition]);
    // What is done is kept a moment after its answer.
    for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
  };
  for (let number = 0; number <= 4096; number += 1) await read(number);
  expect(measured).toBe(4097);
  await read(1);
  await read(4096);
  expect(measured).toBe(4097);
  await read(0);
  expect(measured).toBe(4098);
});
