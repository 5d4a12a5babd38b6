import { podStage } from '../../../src/explain/stages/pod.js';
import {
  answered,
  container,
  idle,
  NO_NUMBERS,
  NOT_ASKED,
  pod,
  REFUSED,
  testStage,
} from '../support/facts.js';
import type { VolumeFacts } from '../../../src/explain/volume-facts.js';

const NO_PROMETHEUS = { prometheus: undefined };
const elsewhere = (over: Parameters<typeof pod>[0] = {}): Partial<VolumeFacts> => ({
  ...NO_NUMBERS,
  isHere: false,
  pod: pod({ nodeName: 'node2', ...over }),
});

testStage('pod', podStage, [
  {
    title: 'it runs here and uses the volume',
    verdict: 'ok',
    evidence: /pod shop\/web-0 runs on this node \(Running\) and uses it/,
    data: { pod: 'web-0', phase: 'Running', node: 'node1' },
  },
  {
    title: 'it is pending because a container waits',
    volume: { pod: idle('Pending', { name: 'waiting', reason: 'ContainerCreating' }) },
    verdict: 'cause',
    evidence: /has not started \(Pending\): main waits \(ContainerCreating\)/,
    fix: /kubectl describe pod/,
  },
  {
    title: 'it is pending, and its status says why',
    volume: { pod: idle('Pending', undefined, { message: 'no disk\u0007' }) },
    verdict: 'cause',
    evidence: /has not started \(Pending\): no disk\\x07/,
    fix: /kubectl describe pod/,
  },
  {
    title: 'it has failed',
    volume: { pod: idle('Failed', { name: 'terminated' }, { message: 'Evicted' }) },
    verdict: 'cause',
    evidence: /has ended \(Failed\): Evicted; the kubelet has taken its volumes down/,
    fix: /Nothing to do/,
  },
  {
    title: 'it has succeeded',
    volume: { pod: idle('Succeeded', { name: 'terminated' }) },
    verdict: 'cause',
    evidence: /has ended \(Succeeded\)/,
    fix: /Nothing to do/,
  },
  {
    title: 'its only container crashes',
    volume: { pod: idle('Running', { name: 'waiting', reason: 'CrashLoopBackOff' }) },
    verdict: 'cause',
    evidence: /main is in CrashLoopBackOff after 7 restarts/,
    fix: /kubectl logs --previous/,
  },
  {
    title: 'between two runs of its only container',
    volume: { pod: idle('Running', { name: 'terminated' }) },
    verdict: 'cause',
    evidence: /no container of the pod runs now \(Running\)/,
    fix: /containers of the pod/,
  },
  {
    title: 'its only container crashes, and runs at the moment',
    volume: { pod: pod({ containers: [container({ restartCount: 3 })] }), podSummary: undefined },
    verdict: 'cause',
    evidence:
      /end and are started again \(3 times so far\), and the kubelet leaves out pods without a running/,
    fix: /kubectl logs --previous/,
    data: { restarts: 3 },
  },
  {
    title: 'its containers were restarted, and the kubelet has its stats',
    volume: { pod: pod({ containers: [container({ restartCount: 3 })] }) },
    verdict: 'ok',
    evidence: /runs on this node/,
  },
  {
    title: 'one of two containers crashes: the other one counts',
    volume: {
      pod: pod({
        containers: [
          container(),
          container({ name: 'side', state: { name: 'waiting', reason: 'CrashLoopBackOff' } }),
        ],
      }),
    },
    verdict: 'ok',
    evidence: /runs on this node/,
  },
  {
    title: 'no container mounts the volume',
    volume: { pod: pod({ containers: [container({ volumeMounts: [] })] }) },
    verdict: 'cause',
    evidence: /lists the volume data, and no container mounts it/,
    fix: /volumeMounts/,
  },
  {
    title: 'it is on another node',
    volume: elsewhere(),
    facts: NO_PROMETHEUS,
    verdict: 'cause',
    evidence: /runs on node node2, and this is node node1/,
    fix: /^Run this on node node2\.$/,
    data: { node: 'node2' },
  },
  {
    title: 'it is on another node, and Prometheus lacks its number: the kubelet there may know why',
    volume: elsewhere(),
    verdict: 'unknown',
    evidence: /runs on node node2, and this is node node1/,
    fix: /node2/,
  },
  {
    title: 'it is on another node, and Prometheus has its number',
    volume: { isHere: false, pod: pod({ nodeName: 'node2' }) },
    verdict: 'ok',
    evidence: /runs on node node2, and Prometheus has numbers/,
  },
  {
    title: 'it is on a node, and this is on none',
    volume: elsewhere(),
    facts: { ...NO_PROMETHEUS, nodeName: undefined, kubeletEndpoint: undefined },
    verdict: 'unknown',
    evidence: /and this is not on a node/,
    fix: /node2/,
  },
  {
    title: 'it is on a node, and this may be that node',
    volume: elsewhere(),
    facts: { ...NO_PROMETHEUS, nodeName: undefined },
    verdict: 'unknown',
    evidence: /and the name of this node is not known/,
    fix: /node2/,
  },
  {
    title: 'it crashes on another node',
    volume: {
      ...elsewhere(),
      pod: idle('Running', { name: 'waiting', reason: 'CrashLoopBackOff' }, { nodeName: 'node2' }),
    },
    verdict: 'cause',
    evidence: /CrashLoopBackOff/,
    fix: /logs/,
  },
  {
    title: 'it is not scheduled',
    volume: {
      isHere: false,
      pod: idle('Pending', undefined, { nodeName: undefined, message: '0/3 nodes' } as never),
    },
    verdict: 'cause',
    evidence: /not scheduled to any node \(Pending\): 0\/3 nodes/,
    fix: /describe pod/,
  },
  {
    title: 'no pod uses the claim',
    volume: { pod: undefined, isHere: false } as never,
    facts: { elsewhere: answered([]) },
    verdict: 'cause',
    evidence: /no pod in namespace shop mounts the claim data/,
    fix: /claimName/,
  },
  {
    title: 'no pod of this node uses the claim, and the other nodes are not known',
    volume: { pod: undefined, isHere: false } as never,
    facts: { elsewhere: REFUSED },
    verdict: 'unknown',
    evidence: /whether a pod on another node does is not known: me may not/,
    fix: /kubectl get pods -o wide/,
    data: { rule: 'rules: []' },
  },
  {
    title: 'nobody knows the pods',
    volume: { pod: undefined, isHere: false } as never,
    facts: { pods: REFUSED },
    verdict: 'unknown',
    evidence: /which pods there are is not known: me may not/,
    fix: /Give me the right/,
    data: { rule: 'rules: []' },
  },
  {
    title: 'nobody was asked for pods',
    volume: { pod: undefined, isHere: false } as never,
    facts: { pods: NOT_ASKED },
    verdict: 'unknown',
    evidence: /nobody was asked/,
    fix: /Run this on the node/,
  },
  {
    title: 'only its folder is known',
    facts: { podsFrom: 'disk' },
    verdict: 'unknown',
    evidence: /the pod of folder uid-1 is on this node; whether it runs is not known/,
    fix: /nodes\/pods/,
  },
]);
