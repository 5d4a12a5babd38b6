import type { Metrics } from '../../src/metrics.js';
import type { PodVolumeStats, VolumeStats } from '../../src/stats/volume-stats.js';

/** The numbers of the kubelet's own test. */
export const SAMPLE = {
  capacity: 10434699264n,
  available: 5663154176n,
  used: 4217896960n,
  inodes: 655360n,
  inodesFree: 655344n,
  inodesUsed: 16n,
} as const;

export function reading(more: Partial<Metrics> = {}): Metrics {
  return { time: new Date(), source: 'statfs', ...more };
}

export function volume(name: string, more: Partial<VolumeStats> = {}): VolumeStats {
  return { name, kind: 'persistentVolumeClaim', provider: 'statfs', state: 'ok', ...more };
}

/** A volume with a claim of its name. */
export function claimed(claim: string, metrics: Metrics | undefined, namespace = 'testns'): VolumeStats {
  return volume(claim, {
    pvcRef: { namespace, name: claim },
    ...(metrics === undefined ? { state: 'pending' } : { metrics }),
  });
}

export function pod(name: string, volumes: readonly VolumeStats[], namespace = 'testns'): PodVolumeStats {
  return {
    podRef: { uid: `${name}-uid`, namespace, name },
    ephemeralVolumes: volumes.filter(({ pvcRef }) => pvcRef === undefined),
    persistentVolumes: volumes.filter(({ pvcRef }) => pvcRef !== undefined),
  };
}
