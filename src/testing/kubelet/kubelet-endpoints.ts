import type { FakeHttpAnswer } from './fake-server.js';

/** Kubernetes 1.26 knows four subresources of nodes, 1.37 one for each kind of endpoint. */
export type FakeKubeletVersion = '1.26' | '1.37';

/** What an endpoint answers with; each is held by the fake. */
export type FakeKubeletBody =
  | 'configz'
  | 'flagz'
  | 'healthz'
  | 'logs'
  | 'metrics'
  | 'metrics/cadvisor'
  | 'metrics/probes'
  | 'metrics/resource'
  | 'metrics/slis'
  | 'pods'
  | 'runningpods'
  | 'stats/summary'
  | 'statusz';

/** One endpoint of a kubelet. */
export interface KubeletEndpoint {
  readonly body: FakeKubeletBody;
  /** The subresources of nodes that are tried; one that is allowed does. */
  readonly subresources: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the read-only port has it, or what it answers instead. */
  readonly readOnly: true | 404 | 405;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const NOSNIFF = { 'x-content-type-options': 'nosniff' };
const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

/** The endpoints of a version, by path. */
export function kubeletEndpoints(
  version: FakeKubeletVersion,
  startedAt: Date,
): ReadonlyMap<string, KubeletEndpoint> {
  const isFine = version !== '1.26';
  const fine = (...subresources: string[]): string[] => (isFine ? subresources : ['proxy']);
  const metrics = {
    'content-type': `text/plain; version=0.0.4; charset=utf-8${isFine ? '; escaping=underscores' : ''}`,
    ...(isFine && { 'process-start-time-unix': String(Math.floor(startedAt.getTime() / 1000)) }),
  };
  const logs = { 'content-type': 'text/html; charset=utf-8', 'last-modified': startedAt.toUTCString() };
  const of = (
    body: FakeKubeletBody,
    subresources: readonly string[],
    headers: KubeletEndpoint['headers'],
    readOnly: KubeletEndpoint['readOnly'] = true,
  ): KubeletEndpoint => ({ body, subresources, headers, readOnly });
  const pods = of('pods', fine('pods', 'proxy'), JSON_TYPE);
  return new Map<string, KubeletEndpoint>([
    ['/pods', pods],
    ['/pods/', pods],
    ['/runningpods/', of('runningpods', fine('pods', 'proxy'), JSON_TYPE, 405)],
    ['/healthz', of('healthz', fine('healthz', 'proxy'), { ...TEXT, ...NOSNIFF })],
    ['/configz', of('configz', fine('configz', 'proxy'), { ...JSON_TYPE, ...NOSNIFF }, 404)],
    ['/stats/summary', of('stats/summary', ['stats'], JSON_TYPE)],
    ...(['metrics', 'metrics/cadvisor', 'metrics/probes', 'metrics/resource', 'metrics/slis'] as const).map(
      (each) => [`/${each}`, of(each, ['metrics'], metrics)] as const,
    ),
    ['/logs/', of('logs', ['log'], logs, 405)],
    ...(isFine
      ? ([
          ['/statusz', of('statusz', ['statusz'], TEXT, 404)],
          ['/flagz', of('flagz', ['configz'], TEXT, 404)],
        ] as const)
      : []),
  ]);
}

/** The answer to a path without its slash at the end. */
export function redirect(version: FakeKubeletVersion, location: string): FakeHttpAnswer {
  const [status, text] = version === '1.26' ? [301, 'Moved Permanently'] : [307, 'Temporary Redirect'];
  const headers = { 'content-type': 'text/html; charset=utf-8', location };
  return { status, headers, body: `<a href="${location}">${text}</a>.\n\n` };
}

export const NOT_FOUND: FakeHttpAnswer = {
  status: 404,
  headers: { ...TEXT, ...NOSNIFF },
  body: '404 page not found\n',
};

export const DEBUGGING_DISABLED: FakeHttpAnswer = {
  status: 405,
  headers: { ...TEXT, ...NOSNIFF },
  body: 'Debug endpoints are disabled.\n',
};

export const UNAUTHORIZED: FakeHttpAnswer = { status: 401, headers: TEXT, body: 'Unauthorized' };

/** The text of a refusal, which changed in 1.32. */
export function forbidden(
  version: FakeKubeletVersion,
  user: string,
  verb: string,
  subresources: readonly string[],
): FakeHttpAnswer {
  const names =
    version === '1.26'
      ? `subresource=${subresources.join(' ')}`
      : `subresource(s)=[${subresources.join(' ')}]`;
  const body = `Forbidden (user=${user}, verb=${verb}, resource=nodes, ${names})${version === '1.26' ? '' : '\n'}`;
  return { status: 403, headers: TEXT, body };
}

/** What a fake answers with unless it is given something else. */
export const DEFAULT_BODIES: Readonly<Record<FakeKubeletBody, unknown>> = {
  configz: { kubeletconfig: { volumeStatsAggPeriod: '1m0s' } },
  flagz: '',
  healthz: 'ok',
  logs: '<!doctype html>\n',
  metrics: '',
  'metrics/cadvisor': '',
  'metrics/probes': '',
  'metrics/resource': '',
  'metrics/slis': '',
  pods: { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: null },
  runningpods: { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: null },
  'stats/summary': { node: { nodeName: 'node1' }, pods: [] },
  statusz: '',
};
