import { isPathComponent, listOf, objectOf, textField, textOf, type JsonObject } from './checked-json.js';
import type { Claim, PersistentVolume, VolumeMode } from './sources.js';

const MIGRATED_TO = 'pv.kubernetes.io/migrated-to';

/** The claim of an object of JSON; undefined if it lacks what every claim has. */
export function claimFromJson(value: JsonObject): Claim | undefined {
  const [metadata, spec, status] = [value['metadata'], value['spec'], value['status']].map(objectOf);
  const [namespace, name, uid] = [metadata?.['namespace'], metadata?.['name'], metadata?.['uid']].map(textOf);
  if (namespace === undefined || name === undefined || uid === undefined) return undefined;
  const volumeName = textOf(spec?.['volumeName']);
  return {
    ...{ namespace, name, uid },
    ...textField('phase', status?.['phase']),
    volumeMode: modeOf(spec),
    ...textField('storageClassName', spec?.['storageClassName']),
    ...textField('capacity', objectOf(status?.['capacity'])?.['storage']),
    ...(isPathComponent(volumeName) && { volumeName }),
    ownerUids: listOf(metadata?.['ownerReferences']).flatMap((each) => textOf(objectOf(each)?.['uid']) ?? []),
  };
}

/** Keys of a PersistentVolume's spec that hold objects and are not its source. */
const NOT_A_SOURCE = new Set(['capacity', 'claimRef', 'nodeAffinity', 'accessModes', 'mountOptions']);

/**
 * The PersistentVolume of an object of JSON, or why it is not the claim's: a text for people.
 */
export function volumeFromJson(value: JsonObject, claim: Claim): PersistentVolume | string {
  const [metadata, spec] = [value['metadata'], value['spec']].map(objectOf);
  const [name, uid] = [metadata?.['name'], metadata?.['uid']].map(textOf);
  if (
    metadata === undefined ||
    spec === undefined ||
    name === undefined ||
    uid === undefined ||
    name !== claim.volumeName
  ) {
    return 'the API server answered with something that is not this PersistentVolume';
  }
  const claimUid = textOf(objectOf(spec['claimRef'])?.['uid']);
  if (claimUid !== claim.uid) {
    return claimUid === undefined
      ? 'the PersistentVolume names no claim'
      : `the PersistentVolume is bound to another claim: its claimRef has the uid ${JSON.stringify(claimUid)}, and this claim has ${JSON.stringify(claim.uid)}`;
  }
  const kind =
    Object.entries(spec).find(([key, each]) => !NOT_A_SOURCE.has(key) && objectOf(each) !== undefined)?.[0] ??
    'unknown';
  return {
    ...{ name, uid, kind },
    volumeMode: modeOf(spec),
    ...textField('capacity', objectOf(spec['capacity'])?.['storage']),
    ...textField('storageClassName', spec['storageClassName']),
    claimUid,
    ...sourceFields(kind, objectOf(spec[kind]) ?? {}),
    ...textField('migratedTo', objectOf(metadata['annotations'])?.[MIGRATED_TO]),
  };
}

function sourceFields(kind: string, source: JsonObject): Partial<PersistentVolume> {
  const [driver, volumeHandle, path, server] = [
    source['driver'],
    source['volumeHandle'],
    source['path'],
    source['server'],
  ].map(textOf);
  if (kind === 'csi' && driver !== undefined && volumeHandle !== undefined) {
    return { csi: { driver, volumeHandle, ...textField('fsType', source['fsType']) } };
  }
  if (kind === 'local' && path !== undefined) return { local: { path } };
  if (kind === 'hostPath' && path !== undefined) return { hostPath: { path } };
  if (kind === 'nfs' && path !== undefined && server !== undefined) return { nfs: { server, path } };
  return {};
}

/** Filesystem unless it says Block, as the API server has it by default. */
function modeOf(spec: JsonObject | undefined): VolumeMode {
  return spec?.['volumeMode'] === 'Block' ? 'Block' : 'Filesystem';
}
