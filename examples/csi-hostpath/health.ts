import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fsInfo, isMetricsError, pathInfo, type Limits, type PathInfo } from 'kube-volume-metrics';
import type { StorageProblem, VolumeProblem } from 'kube-volume-metrics/csi';
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
  const message = await marker(volume.folder);
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

/**
 * What is wrong with the storage behind all volumes: it does not answer, or there is a file `abnormal` in the
 * data root, with the reason in it.
 */
export async function storageProblems(dataRoot: string, limits: Limits): Promise<readonly StorageProblem[]> {
  try {
    await fsInfo(dataRoot, limits);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [{ status: 'STORAGE_UNREACHABLE', reason: 'DataRootDoesNotAnswer', message }];
  }
  const message = await marker(dataRoot);
  return message === undefined ? [] : [{ status: 'STORAGE_DEGRADED', reason: 'MarkedAbnormal', message }];
}

async function marker(folder: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(folder, 'abnormal'), 'utf8');
    return text.trim().slice(0, 1024) || 'it is marked as abnormal';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
