import type { PlannedVolume, VolumeDescription } from './described-volume.js';
import { KIND_OF_PLUGIN } from './measured-by.js';
import type { NodePod } from './node-pod.js';
import { csiVolume, pathOf, stagingOf, type PodPlace } from './plan-entry.js';

/** What is known of a planned volume. */
export function describeVolume(
  planned: PlannedVolume,
  pod: NodePod,
  place: PodPlace,
  provider: string,
): VolumeDescription {
  const { name, volume, claimed, entry, measure } = planned;
  const unknown: string[] = [];
  // A pod that was found on disk has no namespace, and its name is its uid.
  if (pod.namespace === '') {
    unknown.push("the pod's name and namespace are not known: nobody who knows them was asked");
  }
  const path = entry === undefined ? measure.path : pathOf(entry, place);
  const mount = path === undefined ? undefined : place.mounts.at(path);
  const claimName = volume?.claimName;
  const isPersistent = entry !== undefined && (claimed !== undefined || volume === undefined);
  let persistentVolume = claimed?.claim?.volumeName;
  if (entry !== undefined && isPersistent) {
    if (!KIND_OF_PLUGIN.has(entry.plugin)) persistentVolume = entry.name;
    if (volume === undefined) {
      unknown.push(
        persistentVolume === undefined
          ? 'the pod has no such volume; its folder was left over'
          : "which of the pod's volumes this is, and so its claim, is not known",
      );
    }
  }
  if (claimed?.unknown !== undefined) unknown.push(claimed.unknown);
  return {
    name,
    kind: volume?.kind ?? 'unknown',
    ...(entry !== undefined && { plugin: entry.plugin, mode: entry.mode }),
    ...(path !== undefined && { path }),
    ...(mount !== undefined && { mount }),
    ...aboutDriver(planned, place, unknown),
    ...(claimName !== undefined && { claim: { namespace: pod.namespace, name: claimName } }),
    ...(persistentVolume !== undefined && { persistentVolume }),
    provider,
    unknown,
  };
}

function aboutDriver(
  { volume, claimed, entry }: PlannedVolume,
  place: PodPlace,
  unknown: string[],
): Partial<Pick<VolumeDescription, 'driver' | 'volumeHandle' | 'stagingPath'>> {
  if (entry?.volData === undefined) return {};
  const csi = csiVolume(entry, volume, claimed?.claim, place);
  if ('reason' in csi) {
    unknown.push(csi.reason);
    return {};
  }
  const stagingPath = stagingOf(entry, csi.driver, csi.volumeHandle, place.root);
  return { ...csi, ...(stagingPath !== undefined && { stagingPath }) };
}
