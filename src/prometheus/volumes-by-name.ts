import type { PodVolumeStats, VolumeStats } from '../stats/volume-stats.js';

type PodRef = PodVolumeStats['podRef'];

/**
 * The volumes of all pods, each name once. Two pods may be called the same, one that goes and one that comes, or a static pod and its
 * mirror: series know no uid, so that of them the volume is taken whose attempt is the newest.
 */
export function volumesByName(pods: readonly PodVolumeStats[]): (readonly [PodRef, VolumeStats])[] {
  const byName = new Map<string, PodVolumeStats[]>();
  for (const pod of pods) {
    const name = JSON.stringify([pod.podRef.namespace, pod.podRef.name]);
    const namesakes = byName.get(name);
    if (namesakes === undefined) byName.set(name, [pod]);
    else namesakes.push(pod);
  }
  return [...byName.values()].flatMap((namesakes) => {
    const volumes = namesakes.flatMap(({ podRef, ephemeralVolumes, persistentVolumes }) =>
      [...ephemeralVolumes, ...persistentVolumes].map((volume) => [podRef, volume] as const),
    );
    return namesakes.length === 1 ? volumes : newest(volumes);
  });
}

function newest(volumes: readonly (readonly [PodRef, VolumeStats])[]): (readonly [PodRef, VolumeStats])[] {
  const byName = new Map<string, readonly [PodRef, VolumeStats]>();
  for (const each of volumes) {
    const [, { name }] = each;
    const known = byName.get(name);
    if (known === undefined || attemptedMs(known[1]) < attemptedMs(each[1])) byName.set(name, each);
  }
  return [...byName.values()];
}

function attemptedMs({ attemptedAt }: VolumeStats): number {
  return attemptedAt?.getTime() ?? 0;
}
