import { errorText, propertyOf } from '../errors.js';
import { escapeControls } from '../escape.js';
import type { CheckedDoor } from './door-options.js';
import { KubeletError, type CertificateReason, type DoorPrefix } from './kubelet-error.js';

/** OpenSSL's and Node's reasons against a server's certificate. */
const CERTIFICATE_REASONS: ReadonlyMap<unknown, CertificateReason> = new Map<string, CertificateReason>([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unknown-authority'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'unknown-authority'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unknown-authority'],
  ['CERT_UNTRUSTED', 'unknown-authority'],
  ['CERT_SIGNATURE_FAILURE', 'unknown-authority'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'wrong-name'],
  ['HOSTNAME_MISMATCH', 'wrong-name'],
  ['CERT_HAS_EXPIRED', 'expired'],
  ['CERT_NOT_YET_VALID', 'not-yet-valid'],
  ['NOT_THE_PINNED_CERTIFICATE', 'not-the-pinned-one'],
  ['INVALID_CA', 'other'],
  ['INVALID_PURPOSE', 'other'],
  ['PATH_LENGTH_EXCEEDED', 'other'],
  ['CERT_CHAIN_TOO_LONG', 'other'],
  ['CERT_REVOKED', 'other'],
  ['CERT_REJECTED', 'other'],
]);

/** What to do about each reason, at the kubelet. The API server's authority comes with the account. */
const KUBELET_ADVICE: Readonly<Record<CertificateReason, string>> = {
  'self-signed':
    'a kubelet signs its own certificate unless serverTLSBootstrap is on. On the node, pin it: pinnedCertificateFile /var/lib/kubelet/pki/kubelet.crt',
  'unknown-authority':
    "give the authority that signed it as caFile (often the cluster's own, /var/run/secrets/kubernetes.io/serviceaccount/ca.crt), or pin the certificate with pinnedCertificateFile",
  'wrong-name':
    "a kubelet's own certificate has the node's name and no address: give that name as serverName, or pin the certificate with pinnedCertificateFile",
  expired: 'restart the kubelet with a new certificate; pinnedCertificateFile trusts the old one as it is',
  'not-yet-valid': 'compare the clocks of the two machines',
  'not-the-pinned-one':
    'the kubelet has a new certificate that is not in the file, or another server answers at this address',
  other: 'look at the certificate with openssl s_client',
};

const API_ADVICE: Readonly<Record<CertificateReason, string>> = {
  ...KUBELET_ADVICE,
  'self-signed': "give the cluster's authority as caFile",
  'unknown-authority': "give the cluster's authority as caFile",
  'wrong-name': 'give a name that is in the certificate as serverName, such as kubernetes.default.svc',
  expired: "renew the API server's certificate",
};

const ADVICE: Readonly<Record<DoorPrefix, Readonly<Record<CertificateReason, string>>>> = {
  KUBELET: KUBELET_ADVICE,
  API: API_ADVICE,
  PROMETHEUS: {
    ...KUBELET_ADVICE,
    'self-signed': 'give the authority that signed it as caFile',
    'unknown-authority': 'give the authority that signed it as caFile',
    'wrong-name': 'give a name that is in the certificate as serverName',
    expired: "renew the server's certificate",
  },
};

/** Failures of a connection after which the same call may succeed on a new one, as after a restart. */
const LOST = new Set<unknown>(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** Whether the server went away: what was asked may be asked again. */
export function isLost(error: unknown): boolean {
  return LOST.has(propertyOf(error, 'code'));
}

const TITLES: Readonly<Record<DoorPrefix, string>> = {
  KUBELET: 'the kubelet',
  API: 'the API server',
  PROMETHEUS: 'Prometheus',
};

/** How messages call the server of a door. */
export function serverTitle(door: CheckedDoor, prefix: DoorPrefix): string {
  return `${TITLES[prefix]} at ${door.url.origin}`;
}

/** The error for a call that got no whole answer. */
export function connectionFailure(error: unknown, door: CheckedDoor, prefix: DoorPrefix): KubeletError {
  if (error instanceof KubeletError) return error;
  const code = propertyOf(error, 'code');
  const title = serverTitle(door, prefix);
  const text = escapeControls(errorText(error));
  const reason = CERTIFICATE_REASONS.get(code);
  if (reason !== undefined) {
    const advice = ADVICE[prefix][reason];
    const message = `the certificate of ${title} is not trusted (${reason}): ${text}: ${advice}`;
    return new KubeletError(`${prefix}_CERTIFICATE_NOT_TRUSTED`, message, { cause: error, reason });
  }
  if (code === 'CONNECTION_TIMED_OUT') return timedOut(title, 'the connection', door.timeoutMs, prefix);
  const name = String(code);
  if (name.includes('ALERT')) {
    const message = `${title} refused the TLS connection, as it does for a client certificate that it does not accept: ${text}`;
    return new KubeletError(`${prefix}_UNAUTHENTICATED`, message, { cause: error });
  }
  if (/^(EPROTO|ERR_SSL_|HPE_)/.test(name)) {
    const message = `${title} does not speak ${door.url.protocol.slice(0, -1)}: ${text}. Is another program at this address?`;
    return new KubeletError(`${prefix}_BAD_ANSWER`, message, { cause: error });
  }
  return new KubeletError(
    `${prefix}_UNREACHABLE`,
    `${title} cannot be reached: ${text}${hintFor(name, door)}`,
    {
      cause: error,
    },
  );
}

/** The error for a server that does not answer in time. */
export function timedOut(title: string, what: string, limitMs: number, prefix: DoorPrefix): KubeletError {
  return new KubeletError(
    `${prefix}_TIMED_OUT`,
    `${title} did not answer ${what} within ${String(limitMs)} ms: it is overloaded, or a firewall drops the packets`,
  );
}

function hintFor(code: string, { url }: CheckedDoor): string {
  if (code === 'ECONNREFUSED') {
    if (url.port === '10255') return '. The read-only port is off by default: use https and port 10250';
    return '. Nothing listens there: it is not running, is restarting, or has another address';
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return '. The name is not known: check it, and the DNS';
  if (code === 'ECONNRESET') return '. It closed the connection without a whole answer';
  if (/^E(HOSTUNREACH|NETUNREACH|TIMEDOUT)$/.test(code)) return '. Check the address, routes and firewalls';
  return '';
}
