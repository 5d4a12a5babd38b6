import { providerStage } from '../../../src/explain/stages/provider.js';
import type { VolumeFacts } from '../../../src/explain/volume-facts.js';
import type { NodeVolume } from '../../../src/kubelet/node-pod.js';
import type { PersistentVolume } from '../../../src/kubelet/sources.js';
import {
  answered,
  claim,
  description,
  NOT_ASKED,
  persistentVolume,
  REFUSED,
  testStage,
} from '../support/facts.js';

const backedBy = (over: Partial<PersistentVolume>): Partial<VolumeFacts> => ({
  claim: answered(claim({ volume: persistentVolume(over), storageClassName: 'fast' })),
  description: undefined,
});
const inline = (volume: NodeVolume): Partial<VolumeFacts> =>
  ({ claimName: undefined, claim: NOT_ASKED, description: undefined, volume }) as never;
const bound = (over: object): Partial<VolumeFacts> => ({
  claim: answered({ ...claim(), volume: undefined, ...over } as never),
  description: undefined,
});

testStage('provider', providerStage, [
  {
    title: 'CSI',
    verdict: 'ok',
    evidence: /measures kubernetes\.io\/csi volumes \(Filesystem\); here csi\.example does/,
    data: { kind: 'csi', plugin: 'kubernetes.io/csi' },
  },
  {
    title: 'a local volume that was not looked at',
    volume: backedBy({ kind: 'local' }),
    verdict: 'ok',
    evidence: /measures local volumes/,
    data: { storageClass: 'fast' },
  },
  {
    title: 'a hostPath of local-path-provisioner',
    volume: backedBy({ kind: 'hostPath', hostPath: { path: '/opt/pv\u001b' } }),
    verdict: 'cause',
    evidence: /a hostPath, and the kubelet never measures these.*\(\/opt\/pv\\x1b\)/,
    fix: /annotation volumeType: local .*defaultVolumeType: local/,
    data: { kind: 'hostPath', storageClass: 'fast' },
  },
  {
    title: 'a hostPath in the pod itself',
    volume: inline({ name: 'data', kind: 'hostPath', hostPath: { path: '/var/log' } }),
    verdict: 'cause',
    evidence: /\(\/var\/log\)/,
    fix: /Use a claim/,
  },
  {
    title: 'an image',
    volume: inline({ name: 'data', kind: 'image' }),
    verdict: 'cause',
    evidence: /is an image, which the container runtime mounts/,
    fix: /read-only/,
  },
  {
    title: 'a gitRepo',
    volume: inline({ name: 'data', kind: 'gitRepo' }),
    verdict: 'cause',
    evidence: /is a gitRepo/,
    fix: /emptyDir/,
  },
  {
    title: 'Fibre Channel with a filesystem',
    volume: backedBy({ kind: 'fc' }),
    verdict: 'cause',
    evidence: /Fibre Channel filesystem/,
    fix: /CSI driver/,
  },
  {
    title: 'Fibre Channel with a filesystem, as the disk knows it',
    volume: { claim: NOT_ASKED, description: description({ plugin: 'kubernetes.io/fc', provider: 'nil' }) },
    verdict: 'cause',
    evidence: /Fibre Channel filesystem/,
    fix: /CSI driver/,
  },
  {
    title: 'Fibre Channel as a device',
    volume: backedBy({ kind: 'fc', volumeMode: 'Block' }),
    verdict: 'ok',
    evidence: /measures fc volumes/,
  },
  {
    title: 'an emptyDir',
    volume: inline({ name: 'data', kind: 'emptyDir' }),
    verdict: 'ok',
    evidence: /measures emptyDir volumes/,
  },
  {
    title: 'a claim that does not exist',
    volume: { claim: answered(undefined), description: undefined },
    verdict: 'cause',
    evidence: /there is no claim data in this namespace/,
    fix: /name and the namespace/,
  },
  {
    title: 'a claim without a volume yet',
    volume: bound({ phase: 'Pending', volumeName: undefined }),
    verdict: 'cause',
    evidence: /the claim is Pending: it has no volume yet/,
    fix: /kubectl describe pvc/,
  },
  {
    title: 'a claim whose volume is not known',
    volume: bound({ volumeProblem: 'the PersistentVolume names no claim' }),
    verdict: 'unknown',
    evidence: /names no claim/,
    fix: /kubectl get pv/,
  },
  {
    title: 'an API server that refuses is unknown, with the rule to add',
    volume: { claim: REFUSED, description: undefined },
    verdict: 'unknown',
    evidence: /it is not on the disk, and me may not/,
    fix: /Give me the right/,
    data: { rule: 'rules: []' },
  },
  {
    title: 'nobody was asked what it is',
    volume: { claim: NOT_ASKED, description: undefined },
    facts: { disk: NOT_ASKED },
    verdict: 'unknown',
    evidence: /the disk was not looked at, and nobody was asked/,
    fix: /right to get claims/,
  },
]);
