import {
  VolumeCapability_AccessMode_Mode as Mode,
  type VolumeCapability,
} from '../../../src/csi/v1/index.js';

/** A directory that one node writes to. */
export const DIRECTORY: VolumeCapability = {
  mount: { fsType: '', mountFlags: [], volumeMountGroup: '' },
  accessMode: { mode: Mode.SINGLE_NODE_WRITER },
};

/** A block device that one node writes to. */
export const BLOCK: VolumeCapability = { block: {}, accessMode: { mode: Mode.SINGLE_NODE_WRITER } };

/** With another access mode. */
export function withMode(capability: VolumeCapability, mode: Mode): VolumeCapability {
  return { ...capability, accessMode: { mode } };
}
