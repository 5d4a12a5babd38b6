import { csiStage } from '../../../src/explain/stages/csi.js';
import type { VolumeFacts } from '../../../src/explain/volume-facts.js';
import {
  answered,
  claim,
  description,
  DRIVER,
  idle,
  kubeletMetrics,
  measured,
  NO_NUMBERS,
  NOT_ASKED,
  persistentVolume,
  pod,
  testStage,
  unmeasured,
} from '../support/facts.js';

const grpc = (code: number): Error => Object.assign(new Error(`status ${String(code)}`), { code });
const failing = (...args: Parameters<typeof unmeasured>): Partial<VolumeFacts> => ({
  ...NO_NUMBERS,
  stats: unmeasured(...args),
});
const NOT_MEASURED = { ...NO_NUMBERS, stats: undefined };
const callsWith = (status: string): object => ({
  metrics: answered(kubeletMetrics({ driverCalls: new Map([[DRIVER, new Map([[status, 8]])]]) })),
});
const condition = { abnormal: true, message: 'pool is degraded\u001b' };
const DEGRADED = { volume: 'data', status: 'Degraded', reason: 'LowReplicas', message: '1 of 3' };
const event = (kind: 'Pod' | 'PersistentVolumeClaim', name: string, message: string) =>
  ({ kind, namespace: 'shop', name, message }) as const;
const driverOf = (driver: string): Partial<VolumeFacts> => ({
  ...failing('METRICS_NOT_SUPPORTED', 'no capability'),
  description: description({ driver }),
});

testStage('csi', csiStage, [
  {
    title: 'the driver answers',
    verdict: 'ok',
    evidence: /the driver csi\.example answers in 3 ms$/,
    data: { driver: DRIVER },
  },
  {
    title: 'the driver answers us, and the kubelet counts failures',
    facts: callsWith('DeadlineExceeded'),
    verdict: 'ok',
    evidence: /answers in 3 ms, while the kubelet counts 8 times DeadlineExceeded/,
  },
  {
    title: 'the driver answers, and reports that the volume is abnormal',
    volume: { stats: measured({ metrics: { ...measured().metrics, condition } as never }) },
    verdict: 'ok',
    evidence: /it reports: pool is degraded\\x1b/,
  },
  {
    title: 'the driver is not registered, as its CSINode says',
    volume: NO_NUMBERS,
    facts: { csiNode: answered({ drivers: ['a.example', 'b\u001b'], health: [] }) },
    verdict: 'cause',
    evidence: /csi\.example is not registered on node node1, whose CSINode lists a\.example, b\\x1b/,
    fix: /pod of the driver csi\.example runs/,
  },
  {
    title: 'the driver is not registered on the node of a pod elsewhere',
    volume: {
      ...NOT_MEASURED,
      isHere: false,
      place: { nodeName: 'node2', kubeletEndpoint: undefined },
      pod: pod({ nodeName: 'node2' }),
    },
    facts: { csiNode: answered({ drivers: [], health: [] }) },
    verdict: 'cause',
    evidence: /not registered on node node2, whose CSINode lists none/,
    fix: /pod of the driver/,
  },
  {
    title: 'a CSINode that lags behind is not believed where there are numbers',
    facts: { csiNode: answered({ drivers: [], health: [] }) },
    verdict: 'ok',
    evidence: /answers in 3 ms/,
  },
  {
    title: 'the driver is not registered, as the disk says',
    volume: failing(
      'METRICS_NOT_FOUND',
      `driver name ${DRIVER} not found in the list of registered CSI drivers`,
    ),
    verdict: 'cause',
    evidence: /not registered on this node: driver name csi\.example not found/,
    fix: /pod of the driver/,
  },
  {
    title: 'the socket is dead',
    volume: failing('METRICS_CSI_FAILED', 'no connection', { cause: grpc(14) }),
    verdict: 'cause',
    evidence: /is registered, and nobody answers at its socket: no connection/,
    fix: /Restart the driver's pod/,
    data: { grpcStatus: 14, code: 'METRICS_CSI_FAILED' },
  },
  {
    title: 'the driver lacks the capability',
    volume: failing('METRICS_NOT_SUPPORTED', 'no capability'),
    verdict: 'cause',
    evidence: /csi\.example does not have the capability GET_VOLUME_STATS$/,
    fix: /version of the driver that has it/,
  },
  {
    title: 'the EFS driver has it behind an option',
    volume: driverOf('efs.csi.aws.com'),
    facts: { csiNode: NOT_ASKED },
    verdict: 'cause',
    evidence: /vol-metrics-opt-in/,
    fix: /version/,
  },
  {
    title: 'the S3 driver is known to give none',
    volume: driverOf('s3.csi.aws.com'),
    facts: { csiNode: NOT_ASKED },
    verdict: 'cause',
    evidence: /this driver is known to give none/,
    fix: /version/,
  },
  {
    title: 'the call fails',
    volume: failing('METRICS_CSI_FAILED', 'failed with 13 INTERNAL: quota', { cause: grpc(13) }),
    verdict: 'cause',
    evidence: /the driver csi\.example fails: failed with 13 INTERNAL: quota/,
    fix: /log of the driver's pod/,
    data: { grpcStatus: 13 },
  },
  {
    title: 'the driver does not know the volume',
    volume: failing('METRICS_NOT_FOUND', 'NodeGetVolumeStats failed with 5 NOT_FOUND', { cause: grpc(5) }),
    verdict: 'cause',
    evidence: /fails: .*NOT_FOUND/,
    fix: /log/,
    data: { grpcStatus: 5 },
  },
  {
    title: 'the call does not end',
    volume: failing('METRICS_TIMED_OUT', 'no answer in 10 s'),
    verdict: 'cause',
    evidence: /does not answer: no answer in 10 s/,
    fix: /other volumes may hang too/,
  },
  {
    title: 'the answer has no usage',
    volume: failing('METRICS_CSI_FAILED', 'failed to get usage from response. usage is nil'),
    verdict: 'cause',
    evidence: /answers without usage: .*usage is nil/,
    fix: /makers of the driver/,
  },
  {
    title: 'a volume that is not mounted: the driver was not asked',
    volume: failing('METRICS_NOT_MOUNTED', 'nothing is mounted'),
    verdict: 'skipped',
    evidence: /was not asked: nothing is mounted/,
  },
  {
    title: 'a driver that was not asked, of which the kubelet has numbers',
    volume: { stats: undefined },
    verdict: 'ok',
    evidence: /the kubelet has numbers from the driver/,
  },
  {
    title: 'a driver that was not asked, and fails the kubelet',
    volume: NOT_MEASURED,
    facts: callsWith('DeadlineExceeded'),
    verdict: 'cause',
    evidence: /fails the kubelet: NodeGetVolumeStats gave 8 times DeadlineExceeded/,
    fix: /log/,
  },
  {
    title: 'a driver that was not asked, and answers the kubelet',
    volume: NOT_MEASURED,
    verdict: 'ok',
    evidence: /calls to csi\.example succeed: 12 times OK/,
  },
  {
    title: 'a driver that nobody asked is unknown',
    volume: NOT_MEASURED,
    facts: { metrics: answered(kubeletMetrics({ driverCalls: new Map() })), disk: NOT_ASKED },
    verdict: 'unknown',
    evidence: /\(nobody was asked\); the kubelet has never called its NodeGetVolumeStats/,
    fix: /Run this on the node/,
  },
  {
    title: 'a driver of which nothing is known is unknown',
    volume: NOT_MEASURED,
    facts: { metrics: NOT_ASKED, disk: NOT_ASKED },
    verdict: 'unknown',
    evidence: /could not be asked: nobody was asked/,
    fix: /Run this on the node/,
  },
  {
    title: 'the status of the pod since 1.37 says what the storage reported',
    volume: { pod: pod({ volumeHealth: [DEGRADED, { volume: 'logs', status: 'DataLoss' }] }) },
    verdict: 'ok',
    evidence: /; the storage reported: Degraded LowReplicas 1 of 3$/,
    data: { reported: ['Degraded LowReplicas 1 of 3'] },
  },
  {
    title: 'the CSINode since 1.37 says what the storage reported',
    volume: failing('METRICS_CSI_FAILED', 'no', { cause: grpc(13) }),
    facts: {
      csiNode: answered({
        drivers: [DRIVER],
        health: [
          { driver: DRIVER, text: 'StorageUnreachable Fenced' },
          { driver: 'b.example', text: 'StorageDegraded' },
        ],
      }),
    },
    verdict: 'cause',
    evidence: /fails: no; the storage reported: StorageUnreachable Fenced$/,
    fix: /log/,
  },
  {
    title: 'events before 1.37 say what the storage reported',
    facts: {
      events: answered([
        event('Pod', 'web-0', 'Volume data: the pool is full\u001b'),
        event('Pod', 'web-0', 'Volume data-2: of another volume'),
        event('Pod', 'web-1', 'Volume data: of another pod'),
        event('PersistentVolumeClaim', 'data', 'a replica is lost'),
        event('PersistentVolumeClaim', 'data', 'a replica is lost'),
        event('PersistentVolumeClaim', 'logs', 'of another claim'),
        { ...event('PersistentVolumeClaim', 'data', 'of another namespace'), namespace: 'other' },
      ]),
    },
    verdict: 'ok',
    evidence: /; the storage reported: Volume data: the pool is full\\x1b; a replica is lost$/,
  },
  {
    title: 'the pod has ended',
    volume: { pod: idle('Succeeded', undefined) },
    verdict: 'skipped',
    evidence: /the pod has ended/,
  },
  {
    title: 'the volume is on another node',
    volume: { ...NOT_MEASURED, isHere: false },
    verdict: 'skipped',
    evidence: /not on this node/,
  },
  {
    title: 'a volume of another plugin',
    volume: {
      claim: answered(claim({ volume: persistentVolume({ kind: 'nfs', csi: undefined } as never) })),
      description: description({ plugin: 'kubernetes.io/nfs', driver: undefined } as never),
    },
    verdict: 'skipped',
    evidence: /not a CSI volume/,
  },
  {
    title: 'a claim of which nothing is known is unknown',
    volume: { claim: NOT_ASKED, description: undefined },
    verdict: 'unknown',
    evidence: /whether a CSI driver serves the volume is not known/,
    fix: /right to get claims/,
  },
]);
