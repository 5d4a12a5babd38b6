/**
 * Why a door to the kubelet or to the API server stayed shut: one code for each thing that there is to do
 * about it. The prefix says whose door it was.
 *
 * | code | meaning | what to do |
 * |---|---|---|
 * | `KUBELET_UNREACHABLE` | nobody listens, no route, no such host, or the connection broke | endpoint, firewall; the kubelet is restarting |
 * | `KUBELET_CERTIFICATE_NOT_TRUSTED` | the server's certificate is not trusted; `reason` says why | `caFile`, `serverName` or `pinnedCertificateFile` |
 * | `KUBELET_BAD_CREDENTIALS` | a token, certificate or key of ours cannot be read, is empty or malformed; `path` | the file |
 * | `KUBELET_UNAUTHENTICATED` | 401: the server does not know who asks | the token or certificate, its audience, its age |
 * | `KUBELET_FORBIDDEN` | 403: it knows who asks, and a right is missing | add `rule`, wait 30 s |
 * | `KUBELET_TIMED_OUT` | no answer within the time limit | load, firewall, `timeoutMs` |
 * | `KUBELET_TOO_LARGE` | the answer is larger than `maxAnswerBytes` | raise it, if the size is real |
 * | `KUBELET_BAD_ANSWER` | the answer is not what it should be: HTML, cut short, another JSON | what else is at this address |
 * | `KUBELET_FAILED` | another status, such as 500: the kubelet cannot reach the API server | the message has the server's text |
 * | `API_KUBECTL` | kubectl cannot be started, or failed in a way that is not one of the above | install or configure kubectl |
 */
export type KubeletErrorCode = `${'KUBELET' | 'API'}_${DoorProblem}` | 'API_KUBECTL';

/** Whose door it is, as the codes of errors begin. Prometheus' client makes errors of its own of these. */
export type DoorPrefix = 'KUBELET' | 'API' | 'PROMETHEUS';

/** What both doors have in common. */
export type DoorProblem =
  | 'UNREACHABLE'
  | 'CERTIFICATE_NOT_TRUSTED'
  | 'BAD_CREDENTIALS'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'TIMED_OUT'
  | 'TOO_LARGE'
  | 'BAD_ANSWER'
  | 'FAILED';

/** Why a server's certificate is not trusted. */
export type CertificateReason =
  | 'self-signed'
  | 'unknown-authority'
  | 'wrong-name'
  | 'expired'
  | 'not-yet-valid'
  | 'not-the-pinned-one'
  | 'other';

/** What a {@link KubeletError} carries beside its code and message. */
export interface KubeletErrorDetails {
  readonly cause?: unknown;
  /** The HTTP status, where there was an answer. */
  readonly status?: number | undefined;
  /** CERTIFICATE_NOT_TRUSTED: why. */
  readonly reason?: CertificateReason | undefined;
  /** BAD_CREDENTIALS: the file. */
  readonly path?: string | undefined;
  /** FORBIDDEN: who asked, as the server calls them. */
  readonly user?: string | undefined;
  /** FORBIDDEN: what they asked for. */
  readonly verb?: string | undefined;
  /** FORBIDDEN: the subresources of `nodes` one of which would do, such as `pods` and `proxy`. */
  readonly subresources?: readonly string[] | undefined;
  /** FORBIDDEN: YAML of the ClusterRole and its binding to add; absent if no rule would be right. */
  readonly rule?: string | undefined;
  /** Whether the same call may succeed later without anyone acting. */
  readonly transient?: boolean | undefined;
}

const DETAILS = ['status', 'reason', 'path', 'user', 'verb', 'subresources', 'rule'] as const;

/**
 * What the doors to the kubelet and the API server fail with. Look at `code`, never at `instanceof` or the
 * message. The message says what to do, on one or more lines; it holds texts of the server, with control
 * characters escaped, and no credentials.
 */
export class KubeletError extends Error {
  readonly code: KubeletErrorCode;
  declare readonly status?: number;
  declare readonly reason?: CertificateReason;
  declare readonly path?: string;
  declare readonly user?: string;
  declare readonly verb?: string;
  declare readonly subresources?: readonly string[];
  declare readonly rule?: string;
  /** Whether the same call may succeed later without anyone acting. */
  readonly transient: boolean;

  constructor(
    code: KubeletErrorCode | `PROMETHEUS_${DoorProblem}`,
    message: string,
    details: KubeletErrorDetails = {},
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'KubeletError';
    // PrometheusClient lets none of its door's errors out.
    this.code = code as KubeletErrorCode;
    for (const name of DETAILS) {
      if (details[name] !== undefined)
        Object.defineProperty(this, name, { value: details[name], enumerable: true });
    }
    this.transient = details.transient ?? /_(UNREACHABLE|TIMED_OUT)$/.test(code);
  }

  /** What `JSON.stringify` writes: everything but the stack and the cause's own. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { name, code, message, transient, cause } = this;
    const details = Object.fromEntries(DETAILS.map((each) => [each, this[each]]));
    return {
      ...{ name, code, message, ...details, transient },
      ...(cause instanceof Error && {
        cause: { code: (cause as NodeJS.ErrnoException).code, message: cause.message },
      }),
    };
  }
}
