import { checkedObject, checkedOptions, show } from '../../options.js';
import type { FakeAuthentication, FakeRule, FakeUser } from './fake-users.js';
import { DEFAULT_BODIES, type FakeKubeletBody, type FakeKubeletVersion } from './kubelet-endpoints.js';

/** Options of {@link FakeKubelet.start}. */
export interface FakeKubeletOptions extends FakeAuthentication {
  /** @defaultValue `'1.37'` */
  readonly version?: FakeKubeletVersion | undefined;
  /** What it answers, by endpoint: a text or bytes as they are, anything else as JSON. */
  readonly bodies?: Partial<Readonly<Record<FakeKubeletBody, unknown>>> | undefined;
  /** Whose each token is. */
  readonly tokens?: Readonly<Record<string, FakeUser>> | undefined;
  /** Who may what, as `nodes/pods`. @defaultValue nobody anything */
  readonly rules?: readonly FakeRule[] | undefined;
  /** `AlwaysAllow` asks for no rule. @defaultValue `'Webhook'` */
  readonly authorization?: 'Webhook' | 'AlwaysAllow' | undefined;
  /** Whether it also listens on a port over http, for reading, without credentials. @defaultValue `false` */
  readonly readOnlyPort?: boolean | undefined;
  /** Whether it also speaks HTTP/2, as kubelets did before 1.37. @defaultValue by the version */
  readonly http2?: boolean | undefined;
  /** The host names and addresses in its certificate. @defaultValue this host, localhost and 127.0.0.1 */
  readonly hosts?: readonly string[] | undefined;
  /** From when to when its certificate is valid. */
  readonly validity?: { readonly from: Date; readonly to: Date } | undefined;
}

const OPTIONS = [
  'version',
  'bodies',
  'tokens',
  'rules',
  'authorization',
  'readOnlyPort',
  'http2',
  'hosts',
  'validity',
  'anonymous',
  'webhook',
] as const;

/** @throws TypeError for an invalid or unknown option */
export function checkedKubelet(options: FakeKubeletOptions): FakeKubeletOptions {
  const { version = '1.37', authorization = 'Webhook', bodies = {} } = checkedOptions(options, OPTIONS);
  if (version !== '1.26' && version !== '1.37') {
    throw new TypeError(`Expected version to be 1.26 or 1.37, got ${show(version)}`);
  }
  if (authorization !== 'Webhook' && authorization !== 'AlwaysAllow') {
    throw new TypeError(`Expected authorization to be Webhook or AlwaysAllow, got ${show(authorization)}`);
  }
  const known = Object.keys(DEFAULT_BODIES);
  const unknown = Object.keys(checkedObject('bodies', bodies)).find((each) => !known.includes(each));
  if (unknown === undefined) return options;
  throw new TypeError(`Unknown body ${JSON.stringify(unknown)}: there are ${known.join(', ')}`);
}
