import {
  authFields,
  checkedLimits,
  type BasicAuth,
  type CheckedDoor,
  type DoorOptions,
} from '../../kubelet/door-options.js';
import { checkedFlag, checkedNotEmpty, checkedOptions, checkedText, show } from '../../options.js';

/** How a client of Prometheus proves who it is. Files are read again for each call. */
export type PrometheusAuth =
  { readonly type: 'none' } | { readonly type: 'bearer'; readonly tokenFile: string } | BasicAuth;

/** Options of {@link PrometheusClient}. */
export interface PrometheusClientOptions extends Pick<
  DoorOptions,
  'caFile' | 'serverName' | 'insecureSkipTlsVerify' | 'timeoutMs' | 'maxAnswerBytes'
> {
  /**
   * Where Prometheus is, or what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics. It may have a path in
   * front of `/api/v1`, such as `https://monitoring.example/prometheus`.
   */
  readonly url: string;
  /** @defaultValue none; with one, the URL must begin with https:// */
  readonly auth?: PrometheusAuth | undefined;
  /** The header X-Scope-OrgID: whose data is asked for, where several tenants share a server. */
  readonly tenant?: string | undefined;
}

const OPTIONS = [
  'url',
  'auth',
  'caFile',
  'serverName',
  'insecureSkipTlsVerify',
  'tenant',
  'timeoutMs',
  'maxAnswerBytes',
] as const;

const AUTH_FIELDS: Readonly<Record<PrometheusAuth['type'], readonly string[]>> = {
  none: [],
  bearer: ['tokenFile'],
  basic: ['username', 'passwordFile'],
};

/** @throws TypeError naming the option that is missing, wrong or unknown */
export function checkedPrometheus(given: PrometheusClientOptions): CheckedDoor & { readonly prefix: string } {
  const options = checkedOptions(given, OPTIONS);
  const { caFile, serverName, tenant } = options;
  const url = checkedUrl(options.url);
  const auth = checkedAuth(options.auth ?? { type: 'none' });
  const insecureSkipTlsVerify = checkedFlag('insecureSkipTlsVerify', options.insecureSkipTlsVerify);
  for (const [name, value] of Object.entries({ caFile, serverName, tenant })) {
    if (value !== undefined) checkedNotEmpty(name, value);
  }
  if (tenant !== undefined && !/^[\x21-\x7e]+$/.test(tenant)) {
    throw new TypeError(`Expected tenant to be visible ASCII without spaces, got ${show(tenant)}`);
  }
  if (caFile !== undefined && insecureSkipTlsVerify)
    throw new TypeError('Expected only one of caFile and insecureSkipTlsVerify');
  const isPlain = url.protocol === 'http:';
  if (isPlain && (auth.type !== 'none' || caFile !== undefined || insecureSkipTlsVerify)) {
    throw new TypeError(
      `Expected url to begin with https://, got ${show(url.href)}: over http, credentials would be readable on the way`,
    );
  }
  return {
    url,
    prefix: url.pathname.replace(/\/+$/, '').replace(/\/api\/v1$/, ''),
    auth: auth.type === 'bearer' ? { type: 'serviceAccount', tokenFile: auth.tokenFile } : auth,
    caFile,
    serverName,
    pinnedCertificateFile: undefined,
    insecureSkipTlsVerify,
    ...checkedLimits(options),
    headers: tenant === undefined ? {} : { 'x-scope-orgid': tenant },
  };
}

function checkedUrl(given: string): URL {
  const url = URL.canParse(checkedText('url', given)) ? new URL(given) : undefined;
  const isUsable =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.hostname !== '' &&
    url.search + url.hash === '';
  if (!isUsable) {
    throw new TypeError(
      `Expected url to be a URL such as http://prometheus.monitoring:9090, got ${show(given)}`,
    );
  }
  if (url.username !== '' || url.password !== '')
    throw new TypeError('Expected url without a name and password: give them as auth');
  return url;
}

function checkedAuth(auth: PrometheusAuth): PrometheusAuth {
  for (const name of authFields(auth, AUTH_FIELDS))
    checkedNotEmpty(`auth.${name}`, auth[name as keyof PrometheusAuth]);
  if (auth.type === 'basic' && auth.username.includes(':'))
    throw new TypeError('Expected auth.username to have no colon');
  return { ...auth };
}
