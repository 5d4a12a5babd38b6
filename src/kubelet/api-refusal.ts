import { objectOf, textOf } from './checked-json.js';
import { excerpt } from './excerpt.js';
import { KubeletError } from './kubelet-error.js';
import { rbacRule, type MissingRight } from './rbac-rule.js';

/** The error for a status of the API server that is not 200. */
export function apiRefusal(title: string, path: string, status: number, text: string): KubeletError {
  const said = messageOf(text);
  if (status === 401) {
    const message = `${title} does not know who asks for ${path} (401 Unauthorized): the credentials are missing, not valid or expired`;
    return new KubeletError('API_UNAUTHENTICATED', message, { status });
  }
  if (status === 403) {
    const user = /User "(.*)" cannot [a-z]+ resource "/s.exec(said)?.[1] ?? '';
    const right = rightOf(path);
    const start = `${title} refuses ${path} (403): ${excerpt(said)}`;
    const rule = right && rbacRule(right, user);
    const advice = rule === undefined ? '' : `. Add this rule:\n${rule}`;
    const details = { status, ...(user !== '' && { user }), verb: right?.verb, rule };
    return new KubeletError('API_FORBIDDEN', `${start}${advice}`, details);
  }
  if (status >= 300 && status < 400) {
    const message = `${title} redirects ${path} (${String(status)}): is a proxy or a login page in between?`;
    return new KubeletError('API_BAD_ANSWER', message, { status });
  }
  const shown = said.trim() === '' ? '' : `: ${excerpt(said)}`;
  return new KubeletError('API_FAILED', `${title} answered ${path} with status ${String(status)}${shown}`, {
    status,
    transient: status >= 500 || status === 429,
  });
}

/** The message of a Status of Kubernetes, or the text itself. */
function messageOf(text: string): string {
  try {
    return textOf(objectOf(JSON.parse(text))?.['message']) ?? text;
  } catch {
    return text;
  }
}

/** The right that a GET of a path needs; undefined for a path that is not of a resource. */
function rightOf(path: string): MissingRight | undefined {
  const found =
    /^\/(?:api\/v1|apis\/(?<group>[^/]+)\/[^/]+)\/(?:namespaces\/[^/]+\/(?=[^/?]))?(?<resource>[a-z]+)(?:\/(?<name>[^/?]+)(?:\/(?<sub>[a-z]+))?)?/.exec(
      path,
    )?.groups;
  if (found === undefined) return undefined;
  const { group = '', resource = '', name, sub } = found;
  return {
    apiGroup: group,
    resource: sub === undefined ? resource : `${resource}/${sub}`,
    verb: name === undefined ? 'list' : 'get',
  };
}
