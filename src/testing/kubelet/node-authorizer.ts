import type { FakeApiResource, KubernetesObject } from './api-resources.js';
import type { FakeUser } from './fake-users.js';

/** What the API server is asked for. */
export interface NodeQuestion {
  readonly resource: FakeApiResource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly rest: string | undefined;
  readonly query: URLSearchParams;
}

/**
 * What a node's own credentials open, as Kubernetes' Node authorizer decides: its Node and CSINode, its pods,
 * the claims and volumes of these by name, and all CSIDrivers. Nothing of other nodes.
 */
export function mayNodeAsk(
  { name: userName, groups = [] }: FakeUser,
  { resource, namespace, name, rest, query }: NodeQuestion,
  objects: Readonly<Record<FakeApiResource, readonly KubernetesObject[]>>,
): boolean {
  const node = /^system:node:(.+)$/.exec(userName)?.[1];
  if (node === undefined || !groups.includes('system:nodes') || rest !== undefined) return false;
  const claims = objects.pods.filter(({ spec }) => spec?.nodeName === node).flatMap(claimsOf);
  switch (resource) {
    case 'nodes':
    case 'csinodes':
      return name === node;
    case 'csidrivers':
      return true;
    case 'pods':
      return name === undefined
        ? (query.get('fieldSelector') ?? '').split(',').includes(`spec.nodeName=${node}`)
        : objects.pods.some(
            ({ metadata, spec }) =>
              metadata?.name === name && metadata.namespace === namespace && spec?.nodeName === node,
          );
    case 'persistentvolumeclaims':
      return name !== undefined && claims.includes(`${namespace ?? ''}/${name}`);
    case 'persistentvolumes':
      return (
        name !== undefined &&
        objects.persistentvolumeclaims.some(
          ({ metadata, spec }) =>
            spec?.volumeName === name &&
            claims.includes(`${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`),
        )
      );
    default:
      return false;
  }
}

function claimsOf({ metadata, spec }: KubernetesObject): string[] {
  return (spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claim = persistentVolumeClaim?.claimName ?? (ephemeral && `${metadata?.name ?? ''}-${name}`);
    return claim === undefined ? [] : [`${metadata?.namespace ?? ''}/${claim}`];
  });
}
