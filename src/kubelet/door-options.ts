import { isIP } from 'node:net';
import { checkedFlag, checkedMs, checkedNotEmpty, checkedObject, checkedText, show } from '../options.js';
import { isObjectName } from './checked-json.js';

/** How a client proves who it is. Files are read again for each call, so that renewed ones are used. */
export type DoorAuth =
  | {
      /** With a client certificate. Both may be in one file, as in the kubelet's own. */
      readonly type: 'tls';
      readonly certFile: string;
      readonly keyFile: string;
    }
  | {
      /** With the token of a service account. */
      readonly type: 'serviceAccount';
      /** @defaultValue `/var/run/secrets/kubernetes.io/serviceaccount/token` */
      readonly tokenFile?: string | undefined;
    }
  | {
      /** Not at all: for a kubelet that lets everybody in, and for its read-only port. */
      readonly type: 'none';
    };

/** What all doors over https have in common. */
export interface DoorOptions {
  readonly auth?: DoorAuth | undefined;
  /** PEM of the authority that signed the server's certificate. @defaultValue the system's authorities */
  readonly caFile?: string | undefined;
  /** The name that the server's certificate is checked against. @defaultValue the endpoint's host */
  readonly serverName?: string | undefined;
  /**
   * PEM of the server's own certificate, such as `/var/lib/kubelet/pki/kubelet.crt`: exactly this one is
   * trusted, whatever name, authority or dates it has. If the file has several, the first one counts.
   */
  readonly pinnedCertificateFile?: string | undefined;
  /**
   * Trusts every certificate: a proxy in between can read the token and forge answers. Prefer
   * `pinnedCertificateFile`.
   *
   * @defaultValue `false`
   */
  readonly insecureSkipTlsVerify?: boolean | undefined;
  /**
   * Milliseconds for one call with all its attempts. More than 0, at most 2147483647.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * The most bytes of one answer.
   *
   * @defaultValue 33554432, 32 MiB
   */
  readonly maxAnswerBytes?: number | undefined;
}

/** The names of those {@link DoorOptions} that say who asks, and whom to trust. */
export const TLS_OPTION_NAMES = [
  'auth',
  'caFile',
  'serverName',
  'pinnedCertificateFile',
  'insecureSkipTlsVerify',
] as const satisfies readonly (keyof DoorOptions)[];

/** The names of {@link DoorOptions}. */
export const DOOR_OPTION_NAMES = [
  ...TLS_OPTION_NAMES,
  'timeoutMs',
  'maxAnswerBytes',
] as const satisfies readonly (keyof DoorOptions)[];

/** {@link DoorOptions}, checked, with all defaults. */
export interface CheckedDoor {
  /** `https:` or `http:`, without a path. */
  readonly url: URL;
  readonly auth: DoorAuth | BasicAuth;
  readonly caFile: string | undefined;
  readonly serverName: string | undefined;
  readonly pinnedCertificateFile: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  /** Sent with each request besides the door's own. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A name and a password: for servers other than Kubernetes' own. */
export interface BasicAuth {
  readonly type: 'basic';
  readonly username: string;
  readonly passwordFile: string;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MOST_BYTES = 32 * 1024 * 1024;

/** Where a pod finds its service account. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws TypeError naming the option that is wrong */
export function checkedDoor(endpoint: string, options: DoorOptions, auth: DoorAuth): CheckedDoor {
  const url = checkedEndpoint(endpoint);
  const { caFile, serverName, pinnedCertificateFile } = options;
  for (const [name, value] of Object.entries({ caFile, serverName, pinnedCertificateFile })) {
    if (value !== undefined) checkedNotEmpty(name, value);
  }
  const insecureSkipTlsVerify = checkedFlag('insecureSkipTlsVerify', options.insecureSkipTlsVerify);
  const ways = Object.entries({
    caFile,
    pinnedCertificateFile,
    insecureSkipTlsVerify: insecureSkipTlsVerify || undefined,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  if (ways.length > 1) throw new TypeError(`Expected only one of ${ways.join(' and ')}`);
  if (url.protocol === 'http:' && (auth.type !== 'none' || ways.length > 0)) {
    throw new TypeError(
      `Expected endpoint to begin with https://, got ${show(endpoint)}: over http, credentials would be readable on the way, and nothing proves who answers`,
    );
  }
  return {
    ...{ url, auth: checkedAuth(auth), caFile, serverName, pinnedCertificateFile, insecureSkipTlsVerify },
    ...checkedLimits(options),
  };
}

/** @throws TypeError naming the option that is wrong */
export function checkedLimits(
  options: Pick<DoorOptions, 'timeoutMs' | 'maxAnswerBytes'>,
): Pick<CheckedDoor, 'timeoutMs' | 'maxAnswerBytes'> {
  return {
    timeoutMs: checkedMs('timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS),
    maxAnswerBytes: checkedBytes('maxAnswerBytes', options.maxAnswerBytes, DEFAULT_MOST_BYTES),
  };
}

/** @throws TypeError unless it is a whole number of bytes above 0 that one Buffer can hold */
function checkedBytes(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value > 0 && value <= 1_073_741_824) return value;
  throw new TypeError(
    `Expected ${name} to be a whole number of bytes from 1 to 1073741824, got ${show(value)}`,
  );
}

function checkedEndpoint(endpoint: string): URL {
  checkedText('endpoint', endpoint);
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const hasUser = url !== undefined && `${url.username}${url.password}` !== '';
  const isPlain = url?.pathname === '/' && url.search === '' && url.hash === '' && !hasUser;
  if (url !== undefined && isPlain && /^https?:$/.test(url.protocol) && url.hostname !== '') return url;
  // A message holds no credentials.
  if (hasUser) throw new TypeError('Expected endpoint to be a URL without a user and a password: set auth');
  throw new TypeError(
    `Expected endpoint to be a URL such as https://127.0.0.1:10250, without a path, got ${show(endpoint)}`,
  );
}

const AUTH_FIELDS: Readonly<Record<DoorAuth['type'], readonly string[]>> = {
  tls: ['certFile', 'keyFile'],
  serviceAccount: ['tokenFile'],
  none: [],
};

function checkedAuth(auth: DoorAuth): DoorAuth {
  for (const name of authFields(auth, AUTH_FIELDS)) {
    const value: unknown = auth[name as keyof DoorAuth];
    if (value !== undefined || auth.type === 'tls') checkedText(`auth.${name}`, value as string);
  }
  return { ...auth };
}

/**
 * The names of what an authentication consists of besides its type.
 *
 * @param known - these, for each type
 * @throws TypeError unless it is of a known type, and has nothing else
 */
export function authFields(
  auth: { readonly type: string },
  known: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  const { type } = checkedObject('auth', auth);
  const names = Object.hasOwn(known, type) ? known[type] : undefined;
  if (names === undefined) {
    const types = Object.keys(known)
      .join(', ')
      .replace(/, (\w+)$/, ' or $1');
    throw new TypeError(`Expected auth.type to be ${types}, got ${show(type)}`);
  }
  const other = Object.keys(auth).find((name) => name !== 'type' && !names.includes(name));
  if (other !== undefined) throw new TypeError(`Unknown option ${JSON.stringify(other)} of auth ${type}`);
  return names;
}

/** The host without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** A name that TLS may send to the server; an address is none. */
export function sniOf(name: string): string {
  return isIP(name) === 0 ? name : '';
}

/** @throws TypeError for a name that no node can have */
export function checkedNodeName(name: string): string {
  if (isObjectName(checkedText('nodeName', name))) return name;
  throw new TypeError(`Expected nodeName to be a node's name, got ${show(name)}`);
}
