import { propertyOf } from '../../errors.js';
import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { Judge, POD_NOT_RUNNING, type Finding } from '../finding.js';
import { whyNotRunning } from '../not-running.js';
import { isMeasured, isMeasuredByKubelet, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('disk');

const ON_THE_NODE = 'Run this on the node, as root or in the pod of the exporter.';
const LOOK_AT_EVENTS = "Look at the events of the pod (kubectl describe pod), and at the kubelet's log.";

/** Whether the volume is on this node's disk, mounted, and answers. */
export function diskStage(volume: VolumeFacts, facts: Facts): Finding {
  const { description, stats, isHere, pod } = volume;
  if (!isHere) return judge.skipped('the volume is not on this node');
  const idle = pod && whyNotRunning(pod);
  if (idle !== undefined && isMeasured(volume) !== true) {
    return judge.skipped(
      idle.hasEnded ? 'the pod has ended, and its volumes are taken down' : POD_NOT_RUNNING,
    );
  }
  if (facts.disk.state !== 'answered') {
    return judge.unanswered(
      facts.disk,
      ON_THE_NODE,
      `the disk of the node could not be looked at: ${facts.disk.problem}`,
    );
  }
  if (description === undefined || stats === undefined)
    return judge.unknown('the volume was not found on the disk', ON_THE_NODE);
  const data = { path: description.path, ...mountData(volume) };
  const { error, state } = stats;
  if (state === 'ok') return judge.ok(`${mountText(volume)}${sharedText(volume)}`, data);
  if (state === 'unsupported' || error === undefined) {
    return judge.skipped(`there is nothing to look at: ${shown(error?.message ?? state)}`, data);
  }
  const message = shown(error.message, 400);
  const known = { ...data, code: error.code };
  if (error.code === 'METRICS_NOT_MOUNTED') return notMounted(message, volume, facts, known);
  const isDrivers =
    description.driver !== undefined && (description.mount !== undefined || description.mode === 'Block');
  if (isDrivers) return judge.ok(`${mountText(volume)}; the driver measures it`, data);
  if (state === 'stuck') {
    const since = error.stuckSince === undefined ? '' : ` since ${error.stuckSince.toISOString()}`;
    return judge.cause(
      `the filesystem does not answer${since}: ${message}`,
      'Check the server or device behind the mount; the kubelet hangs at it too.',
      known,
    );
  }
  if (error.code === 'METRICS_NOT_FOUND') {
    // Then it is mounted for the kubelet, whatever is seen here.
    if (isMeasuredByKubelet(volume)) {
      return judge.unknown(
        `the kubelet has numbers of it, and this process does not find it: ${message}`,
        'Check that the root of the kubelet is the one that this process sees.',
        known,
      );
    }
    return judge.cause(`the volume is not where the kubelet puts it: ${message}`, LOOK_AT_EVENTS, known);
  }
  const errno = propertyOf(error.cause, 'code');
  return judge.cause(
    `the filesystem fails${typeof errno === 'string' ? ` with ${errno}` : ''}: ${message}`,
    'Check the filesystem and the device behind it (dmesg).',
    known,
  );
}

function notMounted(message: string, volume: VolumeFacts, { disk }: Facts, data: Finding['data']): Finding {
  const propagation = valueOf(disk)?.warnings.find((each) => each.includes('mountPropagation'));
  if (isMeasuredByKubelet(volume) && propagation !== undefined) {
    return judge.unknown(
      `the kubelet has numbers of it, and this process sees no mount: ${propagation}`,
      'Mount the root of the kubelet with mountPropagation: HostToContainer.',
      data,
    );
  }
  if (isMeasuredByKubelet(volume)) {
    return judge.cause(
      `the kubelet has numbers of it, and nothing is mounted: ${message}; they are those of the disk of the host, or from before`,
      'Restart the pod: the kubelet then mounts the volume again.',
      data,
    );
  }
  return judge.cause(
    `the volume is not mounted: ${message}; its folder would show the disk of the host`,
    LOOK_AT_EVENTS,
    data,
  );
}

function mountText({ description }: VolumeFacts): string {
  const mount = description?.mount;
  if (mount === undefined) return `it is at ${shown(description?.path ?? '?')}`;
  return `${shown(mount.fsType)} of ${shown(mount.source)} is mounted at ${shown(mount.mountPoint)}`;
}

function mountData({ description, sharedWith }: VolumeFacts): Record<string, unknown> {
  const mount = description?.mount;
  if (mount === undefined) return {};
  const { fsType, source, mountPoint, device } = mount;
  return { mount: { fsType, source, mountPoint, device }, sharedWith };
}

function sharedText({ sharedWith }: VolumeFacts): string {
  return sharedWith === 0 ? '' : `; ${String(sharedWith)} other volumes are on the same filesystem`;
}
