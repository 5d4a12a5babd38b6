import { diskStage } from '../../../src/explain/stages/disk.js';
import {
  answered,
  description,
  idle,
  MOUNT,
  NO_NUMBERS,
  NOT_ASKED,
  testStage,
  unmeasured,
} from '../support/facts.js';

const DISK = { described: new Map(), stats: new Map() };
const errno = (code: string): Error => Object.assign(new Error(code), { code });
const ownDisk = description({ driver: undefined, plugin: 'kubernetes.io/nfs' } as never);
const NOT_MOUNTED = unmeasured('METRICS_NOT_MOUNTED', 'nothing is mounted on /x');

testStage('disk', diskStage, [
  {
    title: 'what is mounted is the evidence',
    volume: { sharedWith: 2 },
    verdict: 'ok',
    evidence:
      /ext4 of \/dev\/sdb is mounted at \/var\/lib\/kubelet\/.*; 2 other volumes are on the same filesystem/,
    data: { mount: { mountPoint: MOUNT.mountPoint, device: '8:16' }, sharedWith: 2 },
  },
  {
    title: 'nothing is mounted',
    volume: { ...NO_NUMBERS, stats: NOT_MOUNTED },
    verdict: 'cause',
    evidence: /not mounted: nothing is mounted on \/x; its folder would show the disk of the host/,
    fix: /events of the pod/,
    data: { code: 'METRICS_NOT_MOUNTED' },
  },
  {
    title: 'the kubelet has numbers, and this process has a mount namespace that gets none of its mounts',
    volume: { stats: NOT_MOUNTED },
    facts: { disk: answered({ ...DISK, warnings: ['it is private: "mountPropagation: HostToContainer"'] }) },
    verdict: 'unknown',
    evidence: /this process sees no mount: it is private/,
    fix: /mountPropagation: HostToContainer/,
  },
  {
    title: 'the kubelet has numbers, and the volume was unmounted behind its back',
    volume: { stats: NOT_MOUNTED },
    verdict: 'cause',
    evidence: /has numbers of it, and nothing is mounted: .* those of the disk of the host, or from before/,
    fix: /Restart the pod/,
    data: { code: 'METRICS_NOT_MOUNTED' },
  },
  {
    title: 'the volume was not set up',
    volume: {
      ...NO_NUMBERS,
      description: description({ mount: undefined } as never),
      stats: unmeasured('METRICS_NOT_FOUND', 'it is not on the disk'),
    },
    verdict: 'cause',
    evidence: /not where the kubelet puts it: it is not on the disk/,
    fix: /kubelet's log/,
  },
  {
    title: 'the kubelet has numbers of a volume that is not in the root that is looked at',
    volume: {
      description: description({ mount: undefined } as never),
      stats: unmeasured('METRICS_NOT_FOUND', 'it is not on the disk'),
    },
    verdict: 'unknown',
    evidence: /this process does not find it: it is not on the disk/,
    fix: /root of the kubelet/,
  },
  {
    title: 'the filesystem hangs',
    volume: {
      ...NO_NUMBERS,
      description: ownDisk,
      stats: unmeasured('METRICS_TIMED_OUT', 'statfs did not return', {
        stuckSince: new Date('2026-11-27T11:00:00Z'),
      }),
    },
    verdict: 'cause',
    evidence: /does not answer since 2026-11-27T11:00:00\.000Z: statfs did not return/,
    fix: /server or device behind the mount/,
  },
  {
    title: 'the filesystem fails with an errno',
    volume: {
      ...NO_NUMBERS,
      description: ownDisk,
      stats: unmeasured('METRICS_FS_INFO_FAILED', 'statfs failed', { cause: errno('EIO') }),
    },
    verdict: 'cause',
    evidence: /fails with EIO: statfs failed/,
    fix: /dmesg/,
    data: { code: 'METRICS_FS_INFO_FAILED' },
  },
  {
    title: 'the driver fails: the disk is not blamed',
    volume: { ...NO_NUMBERS, stats: unmeasured('METRICS_CSI_FAILED', 'no') },
    verdict: 'ok',
    evidence: /the driver measures it/,
  },
  {
    title: 'a volume without a path has nothing to look at',
    volume: { ...NO_NUMBERS, stats: unmeasured('METRICS_NOT_SUPPORTED', 'a hostPath') },
    verdict: 'skipped',
    evidence: /nothing to look at: a hostPath/,
  },
  {
    title: 'the pod has ended',
    volume: { ...NO_NUMBERS, pod: idle('Failed', undefined), stats: NOT_MOUNTED },
    verdict: 'skipped',
    evidence: /has ended, and its volumes are taken down/,
  },
  {
    title: 'the pod has not started',
    volume: { ...NO_NUMBERS, pod: idle('Pending', { name: 'waiting' }), stats: NOT_MOUNTED },
    verdict: 'skipped',
    evidence: /no container of the pod runs/,
  },
  {
    title: 'another node has another disk',
    volume: { isHere: false },
    verdict: 'skipped',
    evidence: /not on this node/,
  },
  {
    title: 'a volume that was not found is unknown',
    volume: { description: undefined },
    verdict: 'unknown',
    evidence: /was not found on the disk/,
    fix: /Run this on the node/,
  },
  {
    title: 'a disk that was not looked at is unknown',
    facts: { disk: NOT_ASKED },
    verdict: 'unknown',
    evidence: /could not be looked at: nobody/,
    fix: /Run this on the node/,
  },
]);
