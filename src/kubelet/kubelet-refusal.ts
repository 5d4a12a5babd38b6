import { excerpt } from './excerpt.js';
import { KubeletError } from './kubelet-error.js';
import { rbacRule } from './rbac-rule.js';

/** The text of both generations: one `subresource=` before 1.32, a list since. The user may be any text. */
const FORBIDDEN =
  /^Forbidden \(user=(.*), verb=([a-z]+), resource=[a-z]+, subresource(?:=([a-z]+)|\(s\)=\[([a-z ]*)\])\)\s*$/s;

/** The error for a status of the kubelet that is not 200. */
export function kubeletRefusal(title: string, path: string, status: number, text: string): KubeletError {
  if (status === 401) {
    const message = `${title} does not know who asks for ${path} (401 Unauthorized): the credentials are missing, not valid, expired, or a token of another audience than the API server's; or the kubelet does not check tokens (authentication.webhook.enabled)`;
    return new KubeletError('KUBELET_UNAUTHENTICATED', message, { status });
  }
  if (status === 403) return forbidden(title, path, text);
  if (status >= 300 && status < 400) {
    const message = `${title} redirects ${path} (${String(status)}), which a kubelet does not: is a proxy in between?`;
    return new KubeletError('KUBELET_BAD_ANSWER', message, { status });
  }
  const said = text.trim() === '' ? '' : `: ${excerpt(text)}`;
  const hint = hintFor(status, text);
  const message = `${title} answered ${path} with status ${String(status)}${said}${hint}`;
  return new KubeletError('KUBELET_FAILED', message, { status, transient: status >= 500 || status === 429 });
}

function hintFor(status: number, text: string): string {
  if (status === 404 || status === 405)
    return '. Does this kubelet serve it? enableDebuggingHandlers, the read-only port and its version decide';
  if (status === 500 && text.startsWith('Authorization error'))
    return '. The kubelet cannot ask the API server whether this is allowed';
  return '';
}

function forbidden(title: string, path: string, text: string): KubeletError {
  const [, user = '', verb = 'get', one, several = ''] = FORBIDDEN.exec(text) ?? [];
  const subresources = one === undefined ? several.split(' ').filter((each) => each !== '') : [one];
  const wanted = subresources.find((each) => each !== 'proxy');
  const status = 403;
  if (user === '') {
    const message = `${title} refuses ${path} (403): ${excerpt(text)}`;
    return new KubeletError('KUBELET_FORBIDDEN', message, { status });
  }
  const shown = excerpt(user);
  const rights = subresources.map((each) => `nodes/${each}`).join(' or ');
  const start = `${title} refuses ${path} (403): ${shown} may not ${verb} ${rights}`;
  const details = { status, user, verb, subresources };
  if (user === 'system:anonymous') {
    return new KubeletError(
      'KUBELET_FORBIDDEN',
      `${start}: no credentials arrived. Set auth to tls or serviceAccount`,
      details,
    );
  }
  if (user.startsWith('system:node:')) {
    return new KubeletError(
      'KUBELET_FORBIDDEN',
      `${start}: a node's own credentials do not open its kubelet. Ask the API server for the pods, or use a service account`,
      details,
    );
  }
  const rule = rbacRule({ apiGroup: '', resource: `nodes/${wanted ?? 'proxy'}`, verb }, user);
  const warning =
    wanted === undefined
      ? ' This kubelet is older than 1.33 and has no finer right for it. nodes/proxy also lets them run commands in every container: asking the API server for the pods may be the better way.'
      : '';
  const message = `${start}.${warning} Add this rule and wait: the kubelet remembers a refusal for 30 s.\n${rule ?? ''}`;
  return new KubeletError('KUBELET_FORBIDDEN', message, { ...details, rule });
}
