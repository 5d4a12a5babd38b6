import { VolumeCapability_AccessMode_Mode as Mode, type VolumeCapability } from 'kube-volume-metrics/csi/v1';
import { invalidArgument } from './csi-error.js';

/** What a volume is: a directory that is mounted, or a block device. */
export type VolumeKind = 'directory' | 'block';

/** What volumes there can be: without the right to mount, neither block volumes nor read-only ones. */
export interface Abilities {
  readonly isPrivileged: boolean;
}

/** A volume is on the disk of one node, and nothing here keeps a second writer of that node away. */
const MODES: ReadonlySet<Mode> = new Set([Mode.SINGLE_NODE_WRITER, Mode.SINGLE_NODE_READER_ONLY]);

/** Why no volume of this driver has the capability, or undefined if one can. */
export function whyUnsupported(
  { block, mount, accessMode }: VolumeCapability,
  { isPrivileged }: Abilities,
): string | undefined {
  if (block === undefined && mount === undefined) return 'a volume_capability has no access_type';
  const mode = accessMode?.mode ?? Mode.UNKNOWN;
  if (mode === Mode.UNKNOWN) return 'a volume_capability has no access_mode';
  if (!MODES.has(mode)) return `the access mode ${Mode[mode] ?? String(mode)} is not supported`;
  if (!isPrivileged && block !== undefined) return 'block volumes need a driver that may mount';
  if (!isPrivileged && isReadOnly({ accessMode })) return 'read-only volumes need a driver that may mount';
  // It may name any filesystem: a directory has the one that it is in.
  if (mount === undefined) return undefined;
  if (mount.mountFlags.length > 0) return 'mount flags are not supported';
  return mount.volumeMountGroup === '' ? undefined : 'a volume_mount_group is not supported';
}

export function isReadOnly({ accessMode }: VolumeCapability): boolean {
  return accessMode?.mode === Mode.SINGLE_NODE_READER_ONLY;
}

/** What a volume with the capability is. */
export function kindOf({ block }: VolumeCapability): VolumeKind {
  return block === undefined ? 'directory' : 'block';
}

/**
 * What a volume with all of the capabilities is.
 *
 * @throws CsiError INVALID_ARGUMENT when there are none, or no volume of this driver can have them
 */
export function kindOfAll(capabilities: readonly VolumeCapability[], abilities: Abilities): VolumeKind {
  const [first, ...others] = capabilities;
  if (first === undefined) throw invalidArgument('volume_capabilities is missing');
  for (const each of capabilities) checkedCapability(each, abilities);
  if (others.some((each) => kindOf(each) !== kindOf(first))) {
    throw invalidArgument('a volume is either a directory or a block device');
  }
  return kindOf(first);
}

/**
 * Checks the capability that a volume is staged or published with.
 *
 * @throws CsiError INVALID_ARGUMENT when it is missing, or no volume of this driver can have it
 */
export function checkedCapability(
  capability: VolumeCapability | undefined,
  abilities: Abilities,
): VolumeCapability {
  if (capability === undefined) throw invalidArgument('volume_capability is missing');
  const why = whyUnsupported(capability, abilities);
  if (why !== undefined) throw invalidArgument(why);
  return capability;
}
