import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMetricsError, pathInfo, type Limits, type PathInfo } from 'kube-volume-metrics';
import type { VolumeProblem } from 'kube-volume-metrics/csi';
import type { Volume } from './volume-store.js';

/**
 * What is wrong with a volume: its data is gone, or there is a file `abnormal` in its folder, with the reason
 * in it.
 *
 * @throws MetricsError METRICS_TIMED_OUT, METRICS_FS_INFO_FAILED when its data does not answer
 */
export async function problemsOf(volume: Volume, limits: Limits): Promise<readonly VolumeProblem[]> {
  if ((await dataOf(volume, limits)) === undefined) {
    return [{ status: 'DATA_LOSS', reason: 'DataMissing', message: 'the data of the volume is gone' }];
  }
  const message = await marker(volume);
  return message === undefined ? [] : [{ status: 'DEGRADED', reason: 'MarkedAbnormal', message }];
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
