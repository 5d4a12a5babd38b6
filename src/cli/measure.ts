import {
  isMetricsError,
  isNotSupported,
  type Metrics,
  type MetricsError,
  type MetricsProvider,
  type Mount,
} from '../index.js';

/** One volume to measure. */
export interface Volume {
  readonly path: string;
  /** Undefined if there turns out to be nothing to measure: then the volume has no row. */
  readonly provider: MetricsProvider | Promise<MetricsProvider | undefined>;
  /** The mount, if the volume comes from the list of mounts. */
  readonly mount?: Mount;
  /** Measures the filesystem that holds the path: shown if `provider` fails. */
  readonly filesystem?: MetricsProvider;
}

/** How a volume answered. `stuck`: METRICS_TIMED_OUT, with `stuckSince` or without. */
export type State = 'ok' | 'unsupported' | 'failed' | 'stuck';

/** One volume in the answer. */
export interface Row {
  readonly path: string;
  /** Name of the provider. */
  readonly provider: string;
  readonly state: State;
  readonly mount?: Mount;
  readonly metrics?: Metrics;
  readonly error?: RowError;
  /** What the filesystem that holds the path says about itself, if measuring the path failed. */
  readonly filesystem?: Metrics;
}

/** Why there are no metrics. */
export interface RowError extends Advice {
  /** A code of MetricsError, or `ABORT_ERR` after Ctrl-C. */
  readonly code: string;
  readonly message: string;
  readonly path?: string;
  readonly stuckSince?: Date;
}

/** Measures all volumes at once, so that none waits for another. Rows are in the order of the volumes. */
export async function measure(volumes: readonly Volume[], signal: AbortSignal): Promise<Row[]> {
  const rows = volumes.map(async (volume): Promise<Row[]> => {
    const { path, mount } = volume;
    const provider = await volume.provider;
    if (provider === undefined) return [];
    const about = { path, provider: provider.name, ...(mount !== undefined && { mount }) };
    // Asked at the same time, because it joins the look at the filesystem that comes before a walk.
    const filesystem = volume.filesystem?.getMetrics({ signal }).catch(() => undefined);
    try {
      return [{ ...about, state: 'ok', metrics: await provider.getMetrics({ signal }) }];
    } catch (error) {
      const around = await filesystem;
      const failed = { ...about, state: stateOf(error), error: rowError(error, provider.name) };
      return [{ ...failed, ...(around !== undefined && { filesystem: around }) }];
    }
  });
  return (await Promise.all(rows)).flat();
}

function stateOf(error: unknown): State {
  if (isNotSupported(error)) return 'unsupported';
  return isMetricsError(error) && error.code === 'METRICS_TIMED_OUT' ? 'stuck' : 'failed';
}

/** Any error as plain data, with advice. */
export function rowError(error: unknown, provider: string): RowError {
  const { code, message } = error as Partial<Record<'code' | 'message', unknown>>;
  return {
    code: typeof code === 'string' ? code : 'METRICS_PROVIDER_FAILED',
    message: typeof message === 'string' ? message : String(error),
    ...(isMetricsError(error) && error.path !== undefined && { path: error.path }),
    ...(isMetricsError(error) && error.stuckSince !== undefined && { stuckSince: error.stuckSince }),
    ...adviceOn(error, provider),
  };
}

/** What to do about an error. */
interface Advice {
  /** One or two sentences. */
  readonly hint?: string;
  /** The part of the documentation that explains the error's code. */
  readonly docs?: string;
}

const AS_ROOT = 'Run this command as root.';
const EVEN_ROOT =
  'Root is refused too: this may be FUSE without allow_root, NFS with root_squash, or a security module. ' +
  'Try as the user who mounted the volume.';
const DRIVER_GONE =
  "Check that the driver's pod runs on this node, and that the path is the driver's socket: usually /var/lib/kubelet/plugins/DRIVER/csi.sock.";
const DRIVER_LOG = "Look at the driver's log.";

/** What to do about an error that a provider (`statfs`, `du`, `block`, or a CSI driver's name) gave. */
function adviceOn(error: unknown, provider: string): Advice {
  if (!isMetricsError(error)) return {};
  const hint = hintOn(error, provider);
  return { ...(hint !== undefined && { hint }), docs: `docs/errors.md#${error.code.toLowerCase()}` };
}

function hintOn(error: MetricsError, provider: string): string | undefined {
  const refused = isPermission(error) ? (process.geteuid?.() === 0 ? EVEN_ROOT : AS_ROOT) : undefined;
  switch (error.code) {
    case 'METRICS_USAGE_FAILED': {
      const partial = 'Use --allow-partial to leave out what cannot be read and get a lower bound.';
      return refused === AS_ROOT ? `Run this command as root, or ${partial.replace('Use', 'use')}` : partial;
    }
    case 'METRICS_NOT_FOUND':
      return isLocal(provider)
        ? 'Check the spelling of the path. The volume may not be mounted yet, or it may be gone.'
        : 'Check --volume-id and --path: the driver does not know this volume at this path.';
    case 'METRICS_NOT_MOUNTED':
      return 'Mount the volume there, or look at what is mounted with: kube-volume-metrics mounts --path PATH';
    case 'METRICS_TIMED_OUT':
      if (!isLocal(provider)) {
        if (!isDriverAway(error)) return DRIVER_LOG;
        return `The driver is silent. ${DRIVER_GONE} A longer --timeout may help.`;
      }
      return error.stuckSince === undefined
        ? 'A longer --timeout may help. If not, check the server or device behind the volume.'
        : 'Check the server or device behind the volume: it does not answer the kernel.';
    case 'METRICS_NOT_SUPPORTED':
      return isLocal(provider)
        ? undefined
        : 'See what the driver can do: kube-volume-metrics csi probe --endpoint SOCKET';
    case 'METRICS_NO_PATH_DEFINED':
      return 'Give a path that is not empty.';
    case 'METRICS_CSI_FAILED':
      return refused ?? (isDriverAway(error) ? DRIVER_GONE : DRIVER_LOG);
    default:
      return refused;
  }
}

function isLocal(provider: string): boolean {
  return ['statfs', 'du', 'block'].includes(provider);
}

/**
 * Whether the kernel refused it: as an errno along the causes, or in the words of a gRPC error, which has no
 * errno.
 */
function isPermission(error: MetricsError): boolean {
  const seen = new Set<unknown>();
  for (let each: unknown = error; each instanceof Error && !seen.has(each); each = each.cause) {
    seen.add(each);
    if ('code' in each && (each.code === 'EACCES' || each.code === 'EPERM')) return true;
  }
  return error.code === 'METRICS_CSI_FAILED' && /\bconnect (EACCES|EPERM)\b/.test(words(error));
}

/**
 * Whether no driver answers on the socket, by the words of the client and of gRPC. A status that the driver
 * itself sent, UNAVAILABLE and DEADLINE_EXCEEDED included, is an answer.
 */
export function isDriverAway(error: MetricsError): boolean {
  const { code, message, cause } = error;
  if (code === 'METRICS_TIMED_OUT') return message.includes(': no answer within ');
  const { details } = (cause ?? {}) as { details?: unknown };
  return typeof details === 'string' && details.startsWith('No connection established');
}

function words(error: MetricsError): string {
  return `${error.message} ${error.cause instanceof Error ? error.cause.message : ''}`;
}
