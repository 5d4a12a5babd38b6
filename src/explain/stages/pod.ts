import { modesOf } from '../../kubelet/join-claims.js';
import type { Facts } from '../facts.js';
import { Judge, type Finding } from '../finding.js';
import { restartsBehind, whyNotRunning } from '../not-running.js';
import { shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('pod');

/** Whether a pod of this node uses the volume, and a container of it runs. */
export function podStage(volume: VolumeFacts, facts: Facts): Finding {
  const { pod, isHere, namespace, volumeName } = volume;
  if (pod === undefined) return withoutPod(volume, facts);
  const name = `pod ${shown(`${namespace}/${pod.name}`)}`;
  const data = { pod: pod.name, uid: pod.folderUid, phase: pod.phase, node: pod.nodeName };
  if (!isHere) return onAnotherNode(name, volume, facts, data);
  if (facts.podsFrom === 'disk') {
    return judge.unknown(
      `the pod of folder ${shown(pod.folderUid)} is on this node; whether it runs is not known: neither the kubelet nor the API server was asked, or they did not answer`,
      'Give the right to get nodes/pods at the kubelet, or to list pods.',
      data,
    );
  }
  const idle = whyNotRunning(pod);
  if (idle !== undefined) return judge.cause(`${name}: ${idle.why}`, idle.fix, data);
  const isUsed = modesOf(pod).has(volumeName ?? '');
  if (!isUsed && pod.containers.length > 0 && volume.volume !== undefined) {
    return judge.cause(
      `${name} lists the volume ${shown(volumeName ?? '')}, and no container mounts it: the kubelet does not set it up`,
      'Add it to the volumeMounts of a container, or remove it.',
      data,
    );
  }
  const restarts = restartsBehind(volume, facts);
  if (restarts > 0) {
    return judge.cause(
      `${name}: its containers end and are started again (${String(restarts)} times so far), and the kubelet leaves out pods without a running container`,
      'Find out why they end: kubectl logs --previous.',
      { ...data, restarts },
    );
  }
  return judge.ok(`${name} runs on this node (${shown(pod.phase ?? 'phase not known')}) and uses it`, data);
}

function withoutPod({ claimName, namespace }: VolumeFacts, facts: Facts): Finding {
  const { pods, elsewhere } = facts;
  if (elsewhere.state === 'answered') {
    return judge.cause(
      `no pod in namespace ${shown(namespace)} mounts the claim ${shown(claimName ?? '')}, and the kubelet measures only volumes of running pods`,
      'Nothing to do unless a pod should mount it: check claimName in the spec of the pod.',
    );
  }
  if (pods.state !== 'answered') {
    const text = `which pods there are is not known: ${pods.problem}`;
    return judge.unanswered(pods, 'Run this on the node, or give the right to list pods.', text);
  }
  const rule = elsewhere.state === 'unanswered' ? elsewhere.rule : undefined;
  return judge.unknown(
    `no pod of this node mounts the claim; whether a pod on another node does is not known: ${elsewhere.problem}`,
    'Run this on the node of the pod: kubectl get pods -o wide shows it.',
    rule === undefined ? {} : { rule },
  );
}

function onAnotherNode(
  name: string,
  { pod, series }: VolumeFacts,
  { nodeName, kubeletEndpoint, prometheus }: Facts,
  data: Finding['data'],
): Finding {
  if (pod?.nodeName === undefined) {
    const told = pod?.message === undefined ? '' : `: ${shown(pod.message)}`;
    return judge.cause(
      `${name} is not scheduled to any node (${shown(pod?.phase ?? 'phase not known')})${told}`,
      'Look at the events of the pod: kubectl describe pod.',
      data,
    );
  }
  const idle = whyNotRunning(pod);
  if (idle !== undefined) return judge.cause(`${name}: ${idle.why}`, idle.fix, data);
  const there = shown(pod.nodeName);
  const fix = `Run this on node ${there}.`;
  if (series.length > 0)
    return judge.ok(`${name} runs on node ${there}, and Prometheus has numbers of the claim`, data);
  if (nodeName === undefined) {
    const what =
      kubeletEndpoint === undefined ? 'this is not on a node' : 'the name of this node is not known';
    return judge.unknown(`${name} runs on node ${there}, and ${what}`, fix, data);
  }
  const text = `${name} runs on node ${there}, and this is node ${shown(nodeName)}: only the kubelet there has the number`;
  // Prometheus asks that kubelet itself: what it lacks is lost there or on the way.
  return prometheus === undefined ? judge.cause(text, fix, data) : judge.unknown(text, fix, data);
}
