import { excerpt } from '../kubelet/excerpt.js';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** What a kubelet's `/metrics` says about volumes. */
export interface KubeletMetrics {
  /** Numbers by claim, as `namespace/name`. */
  readonly claims: ReadonlyMap<string, ExportedNumbers>;
  /** How often volumes were measured, by `metric_source`. */
  readonly measured: ReadonlyMap<string, number>;
  /** Calls of NodeGetVolumeStats by driver, then by status. */
  readonly driverCalls: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Milliseconds since 1970. */
  readonly startedAtMs?: number;
  /** Such as `v1.34.0`. */
  readonly version?: string;
}

/** The kubelet's numbers for one claim, by the end of the metric's name, such as `capacity_bytes`. */
export type ExportedNumbers = Readonly<Record<string, number>>;

const STATS = 'kubelet_volume_stats_';
const DURATIONS = 'kubelet_volume_metric_collection_duration_seconds_count';
const CALLS = 'csi_operations_seconds_count';
const START = 'process_start_time_seconds';
const BUILD = 'kubernetes_build_info';
const NAMES = [STATS, DURATIONS, CALLS, START, BUILD];

/** How many lines are read before the event loop has its turn. */
const LINES_A_TURN = 20_000;

/** Longer lines hold nothing that is read here. */
const LONGEST_LINE = 65_536;

/** How Prometheus' text format begins: with a comment or a sample. */
const BEGINNING = /^\s*(#|[a-zA-Z_:][\w:]*[{ ])/;

/**
 * Reads the lines of Prometheus' text format that are about volumes. Malformed ones are skipped.
 *
 * @throws Error if it is no such text at all
 */
export async function readKubeletMetrics(text: string): Promise<KubeletMetrics> {
  if (!BEGINNING.test(text.slice(0, LONGEST_LINE))) {
    throw new Error(
      `the kubelet answered /metrics with something that is no list of metrics. It begins with ${excerpt(text.slice(0, 60))}`,
    );
  }
  const claims = new Map<string, Record<string, number>>();
  const measured = new Map<string, number>();
  const driverCalls = new Map<string, Map<string, number>>();
  const once: { startedAtMs?: number; version?: string } = {};
  let lines = 0;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    const start = at;
    at = end + 1;
    lines += 1;
    if (lines % LINES_A_TURN === 0) await nextTurn();
    if (end - start > LONGEST_LINE || !NAMES.some((name) => text.startsWith(name, start))) continue;
    const sample = sampleOf(text.slice(start, end));
    if (sample === undefined) continue;
    const { name, labels, value } = sample;
    if (name.startsWith(STATS)) {
      const claim = `${labels['namespace'] ?? ''}/${labels['persistentvolumeclaim'] ?? ''}`;
      const numbers = claims.get(claim) ?? {};
      numbers[name.slice(STATS.length)] = value;
      claims.set(claim, numbers);
    } else if (name === DURATIONS) {
      measured.set(labels['metric_source'] ?? '', value);
    } else if (name === CALLS && labels['method_name']?.endsWith('/NodeGetVolumeStats') === true) {
      const calls = driverCalls.get(labels['driver_name'] ?? '') ?? new Map<string, number>();
      calls.set(labels['grpc_status_code'] ?? '', value);
      driverCalls.set(labels['driver_name'] ?? '', calls);
    } else if (name === START) {
      once.startedAtMs = value * 1000;
    } else if (name === BUILD && labels['git_version'] !== undefined) {
      once.version = labels['git_version'];
    }
  }
  return { claims, measured, driverCalls, ...once };
}

/** One line: a name, labels in braces if any, a number. */
function sampleOf(
  line: string,
): { name: string; labels: Readonly<Record<string, string>>; value: number } | undefined {
  const open = line.indexOf('{');
  const close = line.lastIndexOf('}');
  const [head, tail] =
    open < 0 ? [line.split(' ', 1)[0] ?? '', line] : [line.slice(0, open), line.slice(close)];
  const [, text] = tail.split(' ');
  const value = Number(text);
  if (text === undefined || text === '' || Number.isNaN(value)) return undefined;
  const labels: Record<string, string> = {};
  if (open >= 0) {
    for (const [, name = '', quoted = ''] of line
      .slice(open + 1, close)
      .matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = quoted.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    }
  }
  return { name: head, labels, value };
}
