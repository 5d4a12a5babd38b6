import type { ApiClient } from '../../kubelet/api-client.js';
import { listOf, objectOf, textOf } from '../../kubelet/checked-json.js';
import { ask, notAsked, type Answer, type Limits } from '../answer.js';
import type { StorageEvent } from '../facts.js';

/** The reason that kubelets before 1.37 and the sidecar external-health-monitor give. */
const REASON = 'VolumeConditionAbnormal';

/** The newest are not first; but the same event again only counts up. */
const MOST = '500';

/**
 * What was reported about storage by events, which Kubernetes keeps for an hour: one list, of one namespace
 * or of all.
 */
export async function askForEvents(
  api: ApiClient | undefined,
  namespace: string | undefined,
  limits: Limits,
): Promise<Answer<readonly StorageEvent[]>> {
  if (api === undefined) return notAsked('the API server was not asked');
  const query = new URLSearchParams({ fieldSelector: `reason=${REASON}`, limit: MOST });
  const where = namespace === undefined ? '' : `namespaces/${namespace}/`;
  return await ask(api.name, limits, async (signal) => {
    const list = objectOf(await api.get(`/api/v1/${where}events?${query.toString()}`, { signal }));
    return listOf(list?.['items']).flatMap(eventFrom);
  });
}

function eventFrom(value: unknown): readonly StorageEvent[] {
  const event = objectOf(value);
  const about = objectOf(event?.['involvedObject']);
  const kind = about?.['kind'];
  const [namespace, name, message] = [about?.['namespace'], about?.['name'], event?.['message']].map(textOf);
  const isOurs = kind === 'Pod' || kind === 'PersistentVolumeClaim';
  if (!isOurs || namespace === undefined || name === undefined || message === undefined) return [];
  return event?.['reason'] === REASON ? [{ kind, namespace, name, message }] : [];
}
