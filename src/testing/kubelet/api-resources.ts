/** The resources of a {@link FakeApiServer}, by the names that paths have. */
export const RESOURCES = {
  nodes: { kind: 'Node', group: '', version: 'v1' },
  persistentvolumeclaims: { kind: 'PersistentVolumeClaim', group: '', version: 'v1' },
  persistentvolumes: { kind: 'PersistentVolume', group: '', version: 'v1' },
  pods: { kind: 'Pod', group: '', version: 'v1' },
  events: { kind: 'Event', group: '', version: 'v1' },
  csidrivers: { kind: 'CSIDriver', group: 'storage.k8s.io', version: 'storage.k8s.io/v1' },
  csinodes: { kind: 'CSINode', group: 'storage.k8s.io', version: 'storage.k8s.io/v1' },
  storageclasses: { kind: 'StorageClass', group: 'storage.k8s.io', version: 'storage.k8s.io/v1' },
} as const;

export type FakeApiResource = keyof typeof RESOURCES;

/** What is looked at in an object. */
export interface KubernetesObject {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec?: {
    readonly nodeName?: string;
    readonly volumeName?: string;
    readonly volumes?: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
      readonly ephemeral?: object;
    }[];
  };
}
