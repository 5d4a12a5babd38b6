import { Problems } from '../../../src/kubelet/checked-json.js';
import type { NodePod } from '../../../src/kubelet/node-pod.js';
import { podFromJson } from '../../../src/kubelet/pod-from-json.js';
import type { Claim, ClaimSource, PersistentVolume, PodSource } from '../../../src/kubelet/sources.js';
import type {
  ApiContainer,
  ApiPersistentVolume,
  ApiPod,
  ApiVolume,
} from '../../../src/testing/kubelet/lay-out-pod.js';

/** A pod as the kubelet describes it. Each container mounts all volumes unless told otherwise. */
export function apiPod(
  name: string,
  volumes: readonly ApiVolume[],
  more: { uid?: string; phase?: string; containers?: readonly ApiContainer[]; namespace?: string } = {},
): ApiPod {
  const volumeMounts = volumes.map((each) => ({ name: each.name, mountPath: `/${each.name}` }));
  return {
    metadata: { uid: more.uid ?? `${name}-uid`, name, namespace: more.namespace ?? 'default' },
    spec: { volumes, containers: more.containers ?? [{ name: 'main', volumeMounts }] },
    status: { phase: more.phase ?? 'Running' },
  };
}

/** A volume that names a claim. */
export function claimed(name: string, claimName = `${name}-claim`): ApiVolume {
  return { name, persistentVolumeClaim: { claimName } };
}

/** A PersistentVolume that is bound to a claim of the namespace `default`. */
export function boundVolume(
  name: string,
  claim: string,
  source: Record<string, unknown> = {
    csi: { driver: 'fake.csi.example', volumeHandle: `handle-of-${name}` },
  },
): ApiPersistentVolume {
  return { metadata: { name }, spec: { claimRef: { namespace: 'default', name: claim }, ...source } };
}

export function nodePod(pod: ApiPod): NodePod {
  const problems = new Problems();
  const found = podFromJson(pod, 'kubelet', problems);
  if (found === undefined) throw new Error(problems.texts().join());
  return found;
}

/** Gives these pods, as they are at the time of each listing. */
export function podSource(pods: readonly ApiPod[]): PodSource {
  return {
    name: 'test',
    pods: () => Promise.resolve({ pods: pods.map(nodePod), problems: [] }),
  };
}

/** Knows the claims that these volumes are bound to, and counts how often it is asked. */
export function claimSource(volumes: readonly ApiPersistentVolume[]): ClaimSource & { asked: string[] } {
  const asked: string[] = [];
  return {
    name: 'test',
    asked,
    claim: (namespace, name) => {
      asked.push(`${namespace}/${name}`);
      const found = volumes.find(
        ({ spec }) => spec.claimRef?.namespace === namespace && spec.claimRef.name === name,
      );
      return Promise.resolve(found === undefined ? undefined : claimOf(found, namespace, name));
    },
  };
}

function claimOf({ metadata, spec }: ApiPersistentVolume, namespace: string, name: string): Claim {
  const volumeMode = spec.volumeMode === 'Block' ? 'Block' : 'Filesystem';
  const kind = Object.keys(spec).find((key) =>
    ['csi', 'local', 'nfs', 'hostPath', 'fc', 'iscsi'].includes(key),
  );
  const volume: PersistentVolume = {
    name: metadata.name,
    uid: `${metadata.name}-uid`,
    kind: kind ?? 'unknown',
    volumeMode,
    claimUid: `${name}-uid`,
    ...(spec.csi && { csi: spec.csi }),
    ...(kind === 'hostPath' && { hostPath: spec['hostPath'] as { path: string } }),
  };
  return {
    namespace,
    name,
    uid: `${name}-uid`,
    phase: 'Bound',
    volumeMode,
    volumeName: metadata.name,
    ownerUids: [],
    volume,
  };
}
