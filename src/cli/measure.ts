import { isMetricsError, isNotSupported, type Metrics, type Mount } from '../index.js';
import type { Volume } from './commands.js';

/** How a volume answered. `stuck` is one that did not, in its time or for long. */
export type State = 'ok' | 'unsupported' | 'failed' | 'stuck';

/** One volume in the answer. */
export interface Row {
  readonly path: string;
  /** Who measures it. */
  readonly provider: string;
  readonly state: State;
  readonly mount?: Mount;
  readonly metrics?: Metrics;
  readonly error?: RowError;
}

/** Why there are no metrics. */
export interface RowError {
  /** A code of MetricsError, or `ABORT_ERR` after Ctrl-C. */
  readonly code: string;
  readonly message: string;
  readonly path?: string;
  readonly stuckSince?: Date;
}

/** Measures all volumes at once: none waits for another. Rows are in the order of the volumes. */
export async function measure(volumes: readonly Volume[], signal: AbortSignal): Promise<Row[]> {
  return await Promise.all(
    volumes.map(async ({ path, provider, mount }): Promise<Row> => {
      const volume = { path, provider: provider.name, ...(mount !== undefined && { mount }) };
      try {
        return { ...volume, state: 'ok', metrics: await provider.getMetrics({ signal }) };
      } catch (error) {
        return { ...volume, state: stateOf(error), error: rowError(error) };
      }
    }),
  );
}

function stateOf(error: unknown): State {
  if (isNotSupported(error)) return 'unsupported';
  return isMetricsError(error) && error.code === 'METRICS_TIMED_OUT' ? 'stuck' : 'failed';
}

function rowError(error: unknown): RowError {
  const { code, message } = error as Partial<Record<'code' | 'message', unknown>>;
  return {
    code: typeof code === 'string' ? code : 'METRICS_PROVIDER_FAILED',
    message: typeof message === 'string' ? message : String(error),
    ...(isMetricsError(error) && error.path !== undefined && { path: error.path }),
    ...(isMetricsError(error) && error.stuckSince !== undefined && { stuckSince: error.stuckSince }),
  };
}
