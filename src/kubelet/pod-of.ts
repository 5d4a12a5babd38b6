import type { Pod, PodVolume } from '../stats/pod.js';
import type { NodePod, NodeVolume } from './node-pod.js';

/** The pod as an analyzer takes it. Its uid is the kubelet's. */
export function podOf({ folderUid, name, namespace, volumes }: NodePod): Pod {
  return { metadata: { uid: folderUid, name, namespace }, spec: { volumes: volumes.map(volumeOf) } };
}

function volumeOf({ name, kind, medium, claimName }: NodeVolume): PodVolume {
  switch (kind) {
    case 'persistentVolumeClaim':
      return { name, ...(claimName !== undefined && { persistentVolumeClaim: { claimName } }) };
    case 'emptyDir':
      return { name, emptyDir: medium === undefined ? {} : { medium } };
    case 'unknown':
    case 'name':
      return { name };
    default:
      // Also a kind that Kubernetes gets later.
      return { name, [kind]: {} };
  }
}
