import { escapeControls } from '../escape.js';

/** What a role must allow. */
export interface MissingRight {
  /** Empty for the core group. */
  readonly apiGroup: string;
  /** Such as `nodes/pods`. */
  readonly resource: string;
  readonly verb: string;
}

const NAME = 'kube-volume-metrics';

/**
 * Names of Kubernetes need no quotes in YAML; a user's name may be anything. YAML has the same escapes for
 * control characters as messages.
 */
function yaml(text: string): string {
  return escapeControls(JSON.stringify(text));
}

/**
 * YAML of a ClusterRole with one right, and of the ClusterRoleBinding that gives it to a user.
 *
 * @returns undefined for users whom no rule should give rights: everybody, and nodes
 */
export function rbacRule({ apiGroup, resource, verb }: MissingRight, user: string): string | undefined {
  if (user === '' || user === 'system:anonymous' || user.startsWith('system:node:')) return undefined;
  const name = `${NAME}-${resource.replace(/[^a-z0-9]+/g, '-')}`;
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  const subject =
    namespace === undefined || account === undefined
      ? [`  - kind: User`, `    apiGroup: rbac.authorization.k8s.io`, `    name: ${yaml(user)}`]
      : [`  - kind: ServiceAccount`, `    namespace: ${yaml(namespace)}`, `    name: ${yaml(account)}`];
  return [
    'apiVersion: rbac.authorization.k8s.io/v1',
    'kind: ClusterRole',
    `metadata: { name: ${name} }`,
    'rules:',
    `  - { apiGroups: [${yaml(apiGroup)}], resources: [${yaml(resource)}], verbs: [${yaml(verb)}] }`,
    '---',
    'apiVersion: rbac.authorization.k8s.io/v1',
    'kind: ClusterRoleBinding',
    `metadata: { name: ${name} }`,
    `roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${name} }`,
    'subjects:',
    ...subject,
    '',
  ].join('\n');
}
