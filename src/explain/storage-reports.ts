import { valueOf } from './answer.js';
import type { Facts } from './facts.js';
import type { VolumeFacts } from './volume-facts.js';

/**
 * What the storage itself reported to Kubernetes about a volume: since 1.37 in the status of the pod and of
 * the CSINode, before by events of the pod and the claim. Texts as they came, each once.
 */
export function storageReports(
  { pod, volumeName, namespace, claimName }: VolumeFacts,
  { csiNode, events }: Facts,
  driver: string,
): readonly string[] {
  const ofVolume = (pod?.volumeHealth ?? []).filter(({ volume }) => volume === volumeName);
  const ofDriver = (valueOf(csiNode)?.health ?? []).filter((each) => each.driver === driver);
  const told = (valueOf(events) ?? []).filter((event) => {
    if (event.namespace !== namespace) return false;
    if (event.kind === 'PersistentVolumeClaim') return event.name === claimName;
    // The kubelet writes `Volume <name>: <message>`.
    return event.name === pod?.name && event.message.startsWith(`Volume ${volumeName ?? ''}:`);
  });
  return [
    ...new Set([
      ...ofVolume.map(({ status, reason, message }) => [status, reason, message].filter(Boolean).join(' ')),
      ...ofDriver.map(({ text }) => text),
      ...told.map(({ message }) => message),
    ]),
  ];
}
