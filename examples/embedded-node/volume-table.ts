import { escapeControls, type PodVolumeStats, type VolumeStats } from 'kube-volume-metrics';

/** What stands for a number that is not known: never 0. */
const UNKNOWN = '-';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/**
 * The columns of {@link volumeTable}: a title, and what of a volume stands below it. Those of numbers are
 * aligned to the right.
 */
const COLUMNS: readonly {
  readonly title: string;
  readonly isNumber?: true;
  readonly cell: (volume: VolumeStats, podRef: PodVolumeStats['podRef'], nowMs: number) => string;
}[] = [
  { title: 'POD', cell: (_, { namespace, name }) => `${namespace}/${name}` },
  { title: 'VOLUME', cell: ({ name }) => name },
  { title: 'KIND', cell: ({ kind }) => kind },
  { title: 'CLAIM', cell: ({ pvcRef }) => pvcRef?.name ?? UNKNOWN },
  { title: 'PROVIDER', cell: providerOf },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'SIZE', isNumber: true, cell: ({ metrics }) => bytes(metrics?.capacity) },
  { title: 'USED', isNumber: true, cell: ({ metrics }) => bytes(metrics?.used) },
  { title: 'AVAILABLE', isNumber: true, cell: ({ metrics }) => bytes(metrics?.available) },
  { title: 'INODES', isNumber: true, cell: ({ metrics }) => String(metrics?.inodesUsed ?? UNKNOWN) },
  {
    title: 'AGE',
    isNumber: true,
    cell: ({ metrics }, _, nowMs) =>
      metrics === undefined ? UNKNOWN : `${String(Math.max(0, Math.round((nowMs - +metrics.time) / 1000)))}s`,
  },
  { title: 'REASON', cell: reason },
];

/** All volumes, each with its state: what the kubelet knows, and does not tell in one place. */
export function volumeTable(pods: readonly PodVolumeStats[], nowMs = Date.now()): string {
  const rows = pods.flatMap(({ podRef, ephemeralVolumes, persistentVolumes }) =>
    [...ephemeralVolumes, ...persistentVolumes].map((volume) =>
      COLUMNS.map(({ cell }) => escapeControls(cell(volume, podRef, nowMs))),
    ),
  );
  const lines = [COLUMNS.map(({ title }) => title), ...rows];
  const widths = COLUMNS.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  return lines
    .map((cells) => {
      const padded = cells.map((cell, at) => {
        const width = widths[at] ?? 0;
        return COLUMNS[at]?.isNumber ? cell.padStart(width) : cell.padEnd(width);
      });
      return `${padded.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** Who measures it, and how, if that is not the usual way: a tmpfs of its own is not walked. */
function providerOf({ provider, metrics }: VolumeStats): string {
  return provider === 'du' && metrics?.source === 'statfs' ? 'du (statfs)' : provider;
}

/** Why there is no (new) reading, or what the storage says is wrong. */
function reason({ error, metrics }: VolumeStats): string {
  if (error !== undefined) return `${error.code}: ${error.message}`;
  return metrics?.condition?.abnormal === true ? `abnormal: ${metrics.condition.message}` : '';
}

function bytes(amount: bigint | undefined): string {
  if (amount === undefined) return UNKNOWN;
  let number = Number(amount);
  let unit = 0;
  for (; number >= 1024 && unit < UNITS.length - 1; unit += 1) number /= 1024;
  return `${number.toFixed(unit === 0 ? 0 : 1)} ${UNITS[unit] ?? ''}`;
}
