import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { GIVE_CLAIMS, Judge, type Finding } from '../finding.js';
import { kindOf, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('provider');

/** Kinds of volumes of which the kubelet never has numbers, and what to do. */
const WITHOUT_NUMBERS: Readonly<Record<string, readonly [why: string, fix: string]>> = {
  image: [
    'the volume is an image, which the container runtime mounts: the kubelet has no numbers of it',
    'Nothing to do: image volumes are read-only, and their size is that of the image.',
  ],
  gitRepo: [
    'the volume is a gitRepo, of which the kubelet has no numbers',
    'Use an emptyDir that an init container clones into.',
  ],
};

const HOST_PATH =
  'the volume is a hostPath, and the kubelet never measures these: it would show the disk of the node';
const LOCAL_PATH =
  'For local-path-provisioner, make the claim with the annotation volumeType: local (or give the StorageClass the annotation defaultVolumeType: local): such a volume has the numbers of the whole disk.';

/** Whether the kubelet measures volumes of this kind at all. */
export function providerStage(volume: VolumeFacts, facts: Facts): Finding {
  const { description, claim, volume: entry } = volume;
  const persistent = valueOf(claim)?.volume;
  const kind = kindOf(volume);
  const data = { kind, plugin: description?.plugin, storageClass: valueOf(claim)?.storageClassName };
  if (kind === 'hostPath') {
    const path = persistent?.hostPath?.path ?? entry?.hostPath?.path;
    const text = path === undefined ? HOST_PATH : `${HOST_PATH} (${shown(path)})`;
    const fix =
      persistent === undefined ? 'Use a claim, or measure the path with the option hostPath.' : LOCAL_PATH;
    return judge.cause(text, fix, data);
  }
  const never = kind === undefined ? undefined : WITHOUT_NUMBERS[kind];
  if (never !== undefined) return judge.cause(...never, data);
  const isFc = kind === 'fc' || description?.plugin === 'kubernetes.io/fc';
  const mode = description?.mode ?? persistent?.volumeMode ?? 'Filesystem';
  if (isFc && mode === 'Filesystem') {
    const fix = 'Use the CSI driver of the storage, if it has one.';
    return judge.cause(
      'the volume is a Fibre Channel filesystem, of which the kubelet has no numbers',
      fix,
      data,
    );
  }
  if (description?.plugin !== undefined) {
    const name = shown(description.plugin);
    return judge.ok(
      `the kubelet measures ${name} volumes (${mode}); here ${shown(description.provider)} does`,
      data,
    );
  }
  if (persistent !== undefined)
    return judge.ok(`the kubelet measures ${shown(persistent.kind)} volumes`, data);
  if (kind !== undefined && kind !== 'persistentVolumeClaim' && kind !== 'ephemeral' && kind !== 'unknown') {
    return judge.ok(`the kubelet measures ${shown(kind)} volumes`, data);
  }
  return unknownKind(volume, facts, data);
}

function unknownKind({ claim, claimName }: VolumeFacts, { disk }: Facts, data: Finding['data']): Finding {
  if (claim.state === 'answered') {
    const found = claim.value;
    if (found === undefined) {
      return judge.cause(
        `there is no claim ${shown(claimName ?? '')} in this namespace`,
        'Check the name and the namespace.',
        data,
      );
    }
    if (found.volumeName === undefined) {
      return judge.cause(
        `the claim is ${shown(found.phase ?? 'not bound')}: it has no volume yet`,
        'Look at the events of the claim: kubectl describe pvc.',
        data,
      );
    }
    const why = found.volumeProblem ?? 'the PersistentVolume is not known';
    return judge.unknown(
      `what kind of volume it is is not known: ${shown(why, 400)}`,
      'Look at the PersistentVolume: kubectl get pv -o yaml.',
      data,
    );
  }
  const place = disk.state === 'answered' ? 'it is not on the disk' : 'the disk was not looked at';
  return judge.unanswered(
    claim,
    GIVE_CLAIMS,
    `what kind of volume it is is not known: ${place}, and ${claim.problem}`,
    data,
  );
}
