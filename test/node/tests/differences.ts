/** One number, text or line that the kubelet and this package give differently. */
export interface Difference {
  /** The six numbers of a provider, what a registry exports, or what the summary says. */
  readonly view: 'provider' | 'metrics' | 'summary';
  readonly field: string;
  /** What kind of volume it is. Families of metrics that belong to none have `-`. */
  readonly plugin: string;
  /** Which volume, or which series. */
  readonly where: string;
  /** Undefined for what is absent. */
  readonly kubelet: string | undefined;
  readonly ours: string | undefined;
}

/** A difference that stays, and why. */
export interface KnownDifference extends Pick<Difference, 'view'> {
  readonly fields: readonly string[];
  readonly plugins: readonly string[];
  readonly kubelet?: string | undefined;
  readonly ours?: string | undefined;
  readonly reason: string;
}

/** Ten at most, and each has to happen. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    view: 'provider',
    fields: ['availableBytes', 'usedBytes', 'inodesFree', 'inodes', 'inodesUsed'],
    plugins: ['kubernetes.io/csi (block)', 'kubernetes.io/local-volume (block)'],
    kubelet: '0',
    ours: undefined,
    reason: 'of a block device only the capacity is known; the kubelet writes 0 for what is not known',
  },
  {
    view: 'metrics',
    fields: ['kubelet_volume_stats_health_status_abnormal'],
    plugins: ['-'],
    kubelet: undefined,
    ours: 'gauge',
    reason: 'kubelets from 1.24 to 1.36 have it, 1.37 does not',
  },
  {
    view: 'metrics',
    fields: ['kubelet_volume_metric_collection_duration_seconds'],
    plugins: ['-'],
    reason: 'how often each process has measured, and how long that took; heads and series are the same',
  },
];

export function isKnown(difference: Difference, known: KnownDifference): boolean {
  return (
    known.view === difference.view &&
    known.fields.includes(difference.field) &&
    known.plugins.includes(difference.plugin) &&
    ('kubelet' in known ? known.kubelet === difference.kubelet : true) &&
    ('ours' in known ? known.ours === difference.ours : true)
  );
}
