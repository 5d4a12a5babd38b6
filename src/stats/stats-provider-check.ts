import type { StatsProvider } from './pod.js';

/** @throws TypeError when it has not both methods */
export function checkedStatsProvider(value: StatsProvider): StatsProvider {
  const given: Partial<StatsProvider> | null | undefined = value;
  if (typeof given?.getPods === 'function' && typeof given.listVolumesForPod === 'function') return value;
  throw new TypeError('Expected statsProvider to have the methods getPods and listVolumesForPod');
}
