import { status } from '@grpc/grpc-js';
import { MetricsError } from '../../errors.js';
import type { Metrics, MetricsProvider } from '../../metrics.js';
import { mountAt } from '../../os/mount-at.js';
import { pathInfo } from '../../os/path-info.js';
import { errnoOfCause } from '../../os/system-error.js';
import { MetricsBlock } from '../../providers/metrics-block.js';
import { MetricsStatFs } from '../../providers/metrics-stat-fs.js';
import { serviceError } from '../messages/grpc-status.js';

/** How a volume is measured. */
export interface Measuring {
  /** Measures the volume; without one, what is at the path decides. */
  readonly provider: MetricsProvider | undefined;
  readonly requireMount: boolean;
  readonly timeoutMs: number;
}

/**
 * The reading of what is at a volume's path.
 *
 * @throws what the provider rejects with; MetricsError; ServiceError for a path that cannot hold a volume
 */
export async function measureAtPath(
  path: string,
  { provider, requireMount, timeoutMs }: Measuring,
): Promise<Metrics> {
  try {
    if (provider === undefined) return await measureWhatIsThere(path, requireMount, timeoutMs);
    if (requireMount) await checkMount(path, timeoutMs);
    return await provider.getMetrics();
  } catch (error) {
    if (errnoOfCause(error) === 'ENAMETOOLONG')
      throw serviceError(status.INVALID_ARGUMENT, 'volume_path is too long');
    throw error;
  }
}

async function measureWhatIsThere(path: string, requireMount: boolean, timeoutMs: number): Promise<Metrics> {
  const { kind } = await pathInfo(path, { timeoutMs });
  if (kind === 'directory') return await new MetricsStatFs(path, { timeoutMs, requireMount }).getMetrics();
  if (kind === 'block') return await new MetricsBlock(path, { timeoutMs }).getMetrics();
  throw serviceError(status.INVALID_ARGUMENT, `${path} is neither a directory nor a block device`);
}

/** Only directories must be mounts: a block volume's path is as often a link or a file. */
async function checkMount(path: string, timeoutMs: number): Promise<void> {
  const { kind } = await pathInfo(path, { timeoutMs });
  if (kind !== 'directory' || (await mountAt(path, { timeoutMs })) !== undefined) return;
  throw new MetricsError('METRICS_NOT_MOUNTED', `nothing is mounted on ${path}`, { path });
}
