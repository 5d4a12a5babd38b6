import {
  isPathComponent,
  listOf,
  objectOf,
  quoted,
  textField,
  textOf,
  type JsonObject,
  type Problems,
} from './checked-json.js';
import { containersOf } from './containers-from-json.js';
import type { NodePod, NodeVolume, NodeVolumeHealth } from './node-pod.js';

/** Who described a pod: they name a static pod's directory differently. */
export type PodOrigin = 'kubelet' | 'API server';

const MIRROR = 'kubernetes.io/config.mirror';
const SOURCE = 'kubernetes.io/config.source';

/**
 * The pod that a value of JSON describes. What is not known here is ignored; a malformed part becomes a
 * problem and is left out.
 *
 * @returns undefined if it has no uid, name or namespace that can be used
 */
export function podFromJson(value: unknown, origin: PodOrigin, problems: Problems): NodePod | undefined {
  const { metadata: givenMetadata, spec: givenSpec, status: givenStatus } = objectOf(value) ?? {};
  const metadata = objectOf(givenMetadata) ?? {};
  const [uid, name, namespace] = [metadata['uid'], metadata['name'], metadata['namespace']].map(textOf);
  if (name === undefined || namespace === undefined) {
    problems.add(`a pod without a name or namespace was left out (uid ${quoted(uid ?? '')})`);
    return undefined;
  }
  const title = podTitle(namespace, name);
  if (!isPathComponent(uid)) {
    const what = uid === undefined ? 'has no uid' : `has the uid ${quoted(uid)}, which no directory can have`;
    problems.add(`${title} ${what}: it was left out`);
    return undefined;
  }
  const mirrored = origin === 'API server' ? mirroredUid(metadata) : undefined;
  if (mirrored !== undefined && !isPathComponent(mirrored)) {
    problems.add(`${title} mirrors ${quoted(mirrored)}, which no directory can be called: it was left out`);
    return undefined;
  }
  const [spec, status] = [objectOf(givenSpec) ?? {}, objectOf(givenStatus) ?? {}];
  return {
    apiUid: uid,
    folderUid: mirrored ?? uid,
    namespace,
    name,
    ...textField('nodeName', spec['nodeName']),
    ...textField('phase', status['phase']),
    ...textField('startTime', status['startTime']),
    ...textField('message', messageOf(status)),
    ...healthField(status['volumeHealth']),
    isStatic: mirrored !== undefined || (origin === 'kubelet' && isFromFile(metadata)),
    ...textField('deletionTimestamp', metadata['deletionTimestamp']),
    volumes: volumesOf(spec['volumes'], name, (text) => {
      problems.add(`${title}: ${text}`);
    }),
    containers: containersOf(spec, status),
  };
}

/** Why the pod was evicted, or is not scheduled. */
function messageOf(status: JsonObject): string | undefined {
  const unscheduled = listOf(status['conditions'])
    .map(objectOf)
    .find((each) => each?.['type'] === 'PodScheduled' && each['status'] === 'False');
  return textOf(status['message']) ?? textOf(unscheduled?.['message']);
}

function healthField(value: unknown): Pick<NodePod, 'volumeHealth'> {
  const volumeHealth = listOf(value).flatMap((each): NodeVolumeHealth[] => {
    const given = objectOf(each);
    const volume = textOf(given?.['name']);
    if (given === undefined || volume === undefined) return [];
    return listOf(given['healthConditions']).flatMap((one) => {
      const condition = objectOf(one) ?? {};
      const status = textOf(condition['status']);
      if (status === undefined) return [];
      const texts = {
        ...textField('reason', condition['reason']),
        ...textField('message', condition['message']),
      };
      return [{ volume, status, ...texts }];
    });
  });
  return volumeHealth.length > 0 ? { volumeHealth } : {};
}

/** How messages call a pod. */
export function podTitle(namespace: string, name: string): string {
  return `pod ${quoted(`${namespace}/${name}`)}`;
}

/**
 * The uid of the static pod that a mirror pod stands for: the kubelet makes it with this annotation and owned
 * by its Node. The annotation alone does not count, and neither does `config.hash`: any pod's author can
 * write both, and would name another pod's directory. A mirror of no static pod is removed by the kubelet.
 */
function mirroredUid(metadata: JsonObject): string | undefined {
  const isNodes = listOf(metadata['ownerReferences']).some((each) => objectOf(each)?.['kind'] === 'Node');
  return isNodes ? textOf(objectOf(metadata['annotations'])?.[MIRROR]) : undefined;
}

/** In its own answers, the kubelet itself writes where a pod comes from: `api`, `file` or `http`. */
function isFromFile(metadata: JsonObject): boolean {
  const source = textOf(objectOf(metadata['annotations'])?.[SOURCE]);
  return source === 'file' || source === 'http';
}

function volumesOf(value: unknown, podName: string, problem: (text: string) => void): NodeVolume[] {
  const volumes = new Map<string, NodeVolume>();
  if (value !== undefined && value !== null && !Array.isArray(value)) problem('its volumes are not a list');
  for (const [index, each] of listOf(value).entries()) {
    const given = objectOf(each);
    const name = textOf(given?.['name']);
    if (given === undefined || !isPathComponent(name)) {
      problem(`volume ${String(index)} has no name that a directory can have: it was left out`);
    } else if (volumes.has(name)) {
      problem(`it has two volumes called ${quoted(name)}: the second was left out`);
    } else {
      volumes.set(name, volumeFrom(given, name, podName, problem));
    }
  }
  return [...volumes.values()];
}

function volumeFrom(
  given: JsonObject,
  name: string,
  podName: string,
  problem: (text: string) => void,
): NodeVolume {
  const found = Object.entries(given).find(([key, value]) => key !== 'name' && objectOf(value) !== undefined);
  if (found === undefined) {
    problem(`volume ${quoted(name)} does not say what it is`);
    return { name, kind: 'unknown' };
  }
  const [kind, value] = found;
  const source = objectOf(value) ?? {};
  const { readOnly } = source;
  const read = FIELDS.get(kind);
  const fields = read?.(source, `${podName}-${name}`);
  if (read !== undefined && fields === undefined) {
    problem(`volume ${quoted(name)} is malformed: its ${kind} lacks what it must have`);
    return { name, kind: 'unknown' };
  }
  return { name, kind, ...(typeof readOnly === 'boolean' && { readOnly }), ...fields };
}

type Fields = Partial<NodeVolume>;
type ReadFields = (source: JsonObject, generatedClaim: string) => Fields | undefined;

/** What is read of each kind; undefined if it lacks what Kubernetes requires. Of other kinds nothing is. */
const FIELDS: ReadonlyMap<string, ReadFields> = new Map<string, ReadFields>([
  [
    'emptyDir',
    ({ medium, sizeLimit }) => ({ ...textField('medium', medium), ...textField('sizeLimit', sizeLimit) }),
  ],
  ['persistentVolumeClaim', ({ claimName }) => claimFields(textOf(claimName))],
  ['ephemeral', (_, generatedClaim) => claimFields(generatedClaim)],
  [
    'hostPath',
    (source) => {
      const path = textOf(source['path']);
      return path === undefined ? undefined : { hostPath: { path, ...textField('type', source['type']) } };
    },
  ],
  [
    'csi',
    (source) => {
      const driver = textOf(source['driver']);
      return driver === undefined ? undefined : { csi: { driver, ...textField('fsType', source['fsType']) } };
    },
  ],
  [
    'nfs',
    (source) => {
      const [server, path] = [textOf(source['server']), textOf(source['path'])];
      return server === undefined || path === undefined ? undefined : { nfs: { server, path } };
    },
  ],
  ['image', ({ reference }) => textField('imageReference', reference)],
  ['flexVolume', ({ driver }) => textField('flexDriver', driver)],
]);

function claimFields(claimName: string | undefined): Fields | undefined {
  return isPathComponent(claimName) ? { claimName } : undefined;
}
