import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { Judge, NO_PROMETHEUS, type Finding } from '../finding.js';
import { kubeletTargets } from '../kubelet-targets.js';
import { shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('service');

/**
 * ServiceMonitor, Service and Endpoints are not asked for: the targets decide. This stage says what to look
 * at if there is none.
 */
export function serviceStage({ series, place }: VolumeFacts, { prometheus }: Facts): Finding {
  const { nodeName } = place;
  if (prometheus === undefined) return judge.skipped(NO_PROMETHEUS);
  const targets = kubeletTargets(valueOf(prometheus.active) ?? [], place);
  if (targets.length > 0) return judge.ok('there is a target, so service discovery finds the kubelet');
  if (series.length > 0) return judge.ok('there is a series, so service discovery finds the kubelet');
  if (prometheus.active.state !== 'answered') return judge.skipped('the targets are not known');
  const node = nodeName === undefined ? 'the node' : `node ${shown(nodeName)}`;
  return judge.skipped(
    `it is not looked at; with the Prometheus operator, check that serviceMonitorSelector matches the labels of the ServiceMonitor (release), that the Service of the kubelet has k8s-app=kubelet, and that its EndpointSlice lists ${node}`,
  );
}
