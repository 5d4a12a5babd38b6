import type { NodePod } from '../kubelet/node-pod.js';
import type { Facts } from './facts.js';
import { shown, type VolumeFacts } from './volume-facts.js';

/** Why no container of the pod runs, and what to do; undefined if one does, or if that is not known. */
export function whyNotRunning({
  phase,
  containers,
  message,
}: NodePod): { readonly why: string; readonly fix: string; readonly hasEnded: boolean } | undefined {
  const phaseText = shown(phase ?? 'phase not known');
  const told = message === undefined ? '' : `: ${shown(message)}`;
  if (phase === 'Succeeded' || phase === 'Failed') {
    return {
      why: `the pod has ended (${phase})${told}; the kubelet has taken its volumes down`,
      fix: 'Nothing to do: a volume has numbers only while a container of its pod runs.',
      hasEnded: true,
    };
  }
  if (containers.some(({ state }) => state?.name === 'running')) return undefined;
  const waiting = containers.find(({ state }) => state?.name === 'waiting');
  const reason = waiting?.state?.reason;
  const restarts = String(waiting?.restartCount ?? 0);
  if (reason === 'CrashLoopBackOff') {
    return {
      why: `no container of the pod runs: ${shown(waiting?.name ?? '')} is in CrashLoopBackOff after ${restarts} restarts, and the kubelet leaves out pods without a running container`,
      fix: 'Find out why the container ends: kubectl logs --previous.',
      hasEnded: false,
    };
  }
  if (phase === 'Pending' || waiting !== undefined) {
    const detail = reason === undefined ? told : `: ${shown(waiting?.name ?? '')} waits (${shown(reason)})`;
    return {
      why: `the pod has not started (${phaseText})${detail}`,
      fix: 'Look at the events of the pod: kubectl describe pod.',
      hasEnded: false,
    };
  }
  if (phase === undefined || containers.length === 0) return undefined;
  if (containers.every(({ state }) => state === undefined)) return undefined;
  return {
    why: `no container of the pod runs now (${phaseText})`,
    fix: 'Look at the containers of the pod: kubectl describe pod.',
    hasEnded: false,
  };
}

/**
 * How often containers of the pod ended, if that may be why the kubelet's summary lacks a pod of which one
 * runs now: it leaves out pods without a running container. Else 0.
 */
export function restartsBehind({ pod, podSummary }: VolumeFacts, { summary }: Facts): number {
  if (pod === undefined || podSummary !== undefined || summary.state !== 'answered') return 0;
  return pod.containers.reduce((sum, each) => sum + each.restartCount, 0);
}
