import { serviceStage } from '../../../src/explain/stages/service.js';
import { answered, prometheus, REFUSED, testStage } from '../support/facts.js';

const NO_TARGETS = prometheus({ active: answered([]) });

testStage('service', serviceStage, [
  { title: 'a target was discovered', verdict: 'ok', evidence: /there is a target/ },
  {
    title: 'a series was discovered',
    facts: { prometheus: NO_TARGETS },
    verdict: 'ok',
    evidence: /there is a series/,
  },
  {
    title: 'without a target it says what to look at, and blames nobody',
    volume: { series: [] },
    facts: { prometheus: NO_TARGETS },
    verdict: 'skipped',
    evidence: /serviceMonitorSelector .* k8s-app=kubelet, and that its EndpointSlice lists node node1/,
  },
  {
    title: 'targets that are not known say nothing',
    volume: { series: [] },
    facts: { prometheus: prometheus({ active: REFUSED }) },
    verdict: 'skipped',
    evidence: /the targets are not known/,
  },
  {
    title: 'without Prometheus there is nothing to judge',
    facts: { prometheus: undefined },
    verdict: 'skipped',
    evidence: /no Prometheus/,
  },
]);
