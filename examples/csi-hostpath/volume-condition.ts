import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isMetricsError,
  pathInfo,
  type Limits,
  type PathInfo,
  type VolumeCondition,
} from 'kube-volume-metrics';
import type { Volume } from './volume-store.js';

/**
 * What is wrong with a volume; undefined if nothing is: its data is gone, or there is a file `abnormal` in
 * its folder, with the reason in it.
 *
 * @throws MetricsError METRICS_TIMED_OUT, METRICS_FS_INFO_FAILED when its data does not answer
 */
export async function conditionOf(volume: Volume, limits: Limits): Promise<VolumeCondition | undefined> {
  if ((await dataOf(volume, limits)) === undefined) {
    return abnormal('DATA_LOSS', 'DataMissing', 'the data of the volume is gone');
  }
  const reason = await marker(volume);
  return reason === undefined ? undefined : abnormal('DEGRADED', 'MarkedAbnormal', reason);
}

/** The verdict on a volume whose data does not answer. */
export function inaccessible(error: unknown): VolumeCondition {
  const message = error instanceof Error ? error.message : String(error);
  return abnormal('INACCESSIBLE', 'DataDoesNotAnswer', message);
}

/** The directory or the image that is the volume; undefined when it is gone. */
export async function dataOf({ dataPath }: Volume, limits: Limits): Promise<PathInfo | undefined> {
  try {
    return await pathInfo(dataPath, limits);
  } catch (error) {
    if (isMetricsError(error) && error.code === 'METRICS_NOT_FOUND') return undefined;
    throw error;
  }
}

async function marker({ folder }: Volume): Promise<string | undefined> {
  try {
    const text = await readFile(join(folder, 'abnormal'), 'utf8');
    return text.trim().slice(0, 1024) || 'the volume is marked as abnormal';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function abnormal(status: string, reason: string, message: string): VolumeCondition {
  return { abnormal: true, message, problems: [{ status, reason, message }] };
}
