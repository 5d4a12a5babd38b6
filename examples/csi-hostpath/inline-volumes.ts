import type { NodePublishVolumeRequest } from 'kube-volume-metrics/csi/v1';
import { newCapacity } from './capacity.js';
import { alreadyExists, invalidArgument } from './csi-error.js';
import type { Volume, VolumeStore } from './volume-store.js';

/** What the kubelet says of a volume that stands in the pod itself, if the CSIDriver has podInfoOnMount. */
const INLINE = 'csi.storage.k8s.io/ephemeral';

/** Whether a volume is to be made for one pod, and without being staged. */
export function isInlineRequest({ volumeContext }: NodePublishVolumeRequest): boolean {
  return volumeContext[INLINE] === 'true';
}

/** Whether an id is one that the kubelet gives to inline volumes. */
export function isInlineId(volumeId: string): boolean {
  return /^csi-[0-9a-f]{64}$/.test(volumeId);
}

/**
 * The inline volume that is to be published, made if it is not there yet: a directory.
 *
 * @throws CsiError INVALID_ARGUMENT when a block device is asked for, ALREADY_EXISTS when the id is that of a
 * volume which is not inline
 */
export async function inlineVolume(
  volumes: VolumeStore,
  { volumeId, volumeCapability }: NodePublishVolumeRequest,
): Promise<Volume> {
  const there = volumes.get(volumeId);
  if (there?.isInline === false) throw alreadyExists('the volume exists, and it is not inline');
  if (there !== undefined) return there;
  if (volumeCapability?.block !== undefined) throw invalidArgument('an inline volume is a directory');
  const kind = 'directory';
  const capacityBytes = newCapacity(undefined, kind);
  return await volumes.create({ name: volumeId, isInline: true, kind, capacityBytes, parameters: {} });
}
