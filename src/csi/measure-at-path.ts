import { status } from '@grpc/grpc-js';
import { isMetricsError, MetricsError } from '../errors.js';
import type { Metrics, MetricsProvider } from '../metrics.js';
import type { Limits } from '../os/volume-call.js';
import { mountAt } from '../os/mount-at.js';
import { pathInfo } from '../os/path-info.js';
import { MetricsBlock } from '../providers/metrics-block.js';
import { MetricsStatFs } from '../providers/metrics-stat-fs.js';
import { serviceError } from './grpc-status.js';

/** How a volume is measured. */
export interface Measuring {
  /** Who measures; by default what is at the path decides. */
  readonly provider: MetricsProvider | undefined;
  readonly requireMount: boolean;
  readonly timeoutMs: number;
}

/**
 * The reading of what is at a volume's path.
 *
 * @throws what the provider rejects with; MetricsError; ServiceError for a path at which no volume can be
 */
export async function measureAtPath(
  path: string,
  { provider, requireMount, timeoutMs }: Measuring,
): Promise<Metrics> {
  try {
    if (provider === undefined) return await measureWhatIsThere(path, requireMount, { timeoutMs });
    if (requireMount) await checkMount(path, { timeoutMs });
    return await provider.getMetrics();
  } catch (error) {
    if (errnoOf(error) === 'ENAMETOOLONG')
      throw serviceError(status.INVALID_ARGUMENT, 'volume_path is too long');
    throw error;
  }
}

async function measureWhatIsThere(path: string, requireMount: boolean, limits: Limits): Promise<Metrics> {
  const { kind } = await pathInfo(path, limits);
  if (kind === 'directory') return await new MetricsStatFs(path, { ...limits, requireMount }).getMetrics();
  if (kind === 'block') return await new MetricsBlock(path, limits).getMetrics();
  throw serviceError(status.INVALID_ARGUMENT, `${path} is neither a directory nor a block device`);
}

/** A block volume's path is a link or a file as often as a mount, so only directories are held to it. */
async function checkMount(path: string, limits: Limits): Promise<void> {
  const { kind } = await pathInfo(path, limits);
  if (kind !== 'directory' || (await mountAt(path, limits)) !== undefined) return;
  throw new MetricsError('METRICS_NOT_MOUNTED', `nothing is mounted on ${path}`, { path });
}

function errnoOf(error: unknown): unknown {
  const cause = isMetricsError(error) ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}
