import {
  NodeServiceCapability_RPC_Type,
  VolumeUsage_Unit,
  type NodeGetStorageHealthResponse_StorageBackendHealth as StorageBackendHealth,
  type NodeGetVolumeHealthRequest,
  type NodeGetVolumeStatsRequest,
  type VolumeCondition,
  type VolumeHealth_VolumeHealthEntry as VolumeHealthEntry,
  type VolumeUsage,
} from '../../csi/gen/csi/v1/csi.js';
import { checkedMs, checkedText } from '../../options.js';
import { show } from '../../reading.js';
import type { FakeCsiAnswer, FakeCsiRpc } from './fake-csi-server.js';

/** Usage entries, or a function that gives those of one volume. A field that is left out is 0. */
export type FakeCsiUsage =
  readonly Partial<VolumeUsage>[] | ((request: NodeGetVolumeStatsRequest) => readonly Partial<VolumeUsage>[]);

/** What a `FakeCsiDriver` answers. Each field may be changed at any time. */
export interface FakeCsiScript {
  name: string;
  version: string;
  capabilities: readonly NodeServiceCapability_RPC_Type[];
  usage: FakeCsiUsage;
  condition: VolumeCondition | undefined;
  /** What is wrong with every volume, in the form of CSI 1.13. */
  health: readonly VolumeHealthEntry[];
  /** What is wrong with the storage behind the driver, in the form of CSI 1.13. */
  storageHealth: readonly StorageBackendHealth[];
  /** Milliseconds that `slow` takes. */
  delayMs: number;
}

export const DEFAULT_SCRIPT: FakeCsiScript = {
  name: 'fake.csi.example',
  version: '1.0.0',
  capabilities: [NodeServiceCapability_RPC_Type.GET_VOLUME_STATS],
  usage: [
    { unit: VolumeUsage_Unit.BYTES, total: 100n, available: 60n, used: 40n },
    { unit: VolumeUsage_Unit.INODES, total: 10n, available: 7n, used: 3n },
  ],
  condition: undefined,
  health: [],
  storageHealth: [],
  delayMs: 1_000,
};

/** @throws TypeError for a field that no answer can be made of */
export function checkedScript(script: FakeCsiScript): FakeCsiScript {
  const { name, version, capabilities, usage, condition, health, storageHealth, delayMs } = script;
  checkedText('name', name);
  checkedText('version', version);
  if (typeof usage !== 'function') checkList('usage', usage, 'object', ' or a function');
  checkList('capabilities', capabilities, 'number');
  checkList('health', health, 'object');
  checkList('storageHealth', storageHealth, 'object');
  if (condition !== undefined && (typeof condition !== 'object' || (condition as unknown) === null)) {
    throw new TypeError(`Expected condition to be an object, got ${show(condition)}`);
  }
  if (delayMs !== 0) checkedMs('delayMs', delayMs, 0);
  return script;
}

function checkList(name: string, value: unknown, type: 'object' | 'number', or = ''): void {
  const isValid = Array.isArray(value) && value.every((each) => typeof each === type && each !== null);
  if (!isValid) throw new TypeError(`Expected ${name} to be a list of ${type}s${or}, got ${show(value)}`);
}

/** What the script says to a call. */
export function scriptedAnswer(
  { name, version, capabilities, usage, condition, health, storageHealth }: FakeCsiScript,
  rpc: FakeCsiRpc,
  request: unknown,
): FakeCsiAnswer<FakeCsiRpc> {
  switch (rpc) {
    case 'getPluginInfo':
      return { name, vendorVersion: version, manifest: {} };
    case 'getPluginCapabilities':
      return { capabilities: [] };
    case 'nodeGetCapabilities':
      return { capabilities: capabilities.map((type) => ({ rpc: { type } })) };
    case 'nodeGetInfo':
      return { nodeId: 'fake-node', maxVolumesPerNode: 0n };
    case 'nodeGetVolumeStats': {
      const entries = typeof usage === 'function' ? usage(request as NodeGetVolumeStatsRequest) : usage;
      return {
        usage: entries.map((entry) => ({
          unit: VolumeUsage_Unit.UNKNOWN,
          total: 0n,
          available: 0n,
          used: 0n,
          ...entry,
        })),
        ...(condition && { volumeCondition: condition }),
      };
    }
    case 'nodeGetVolumeHealth': {
      const { volumeId } = request as NodeGetVolumeHealthRequest;
      return { volumeHealth: { volumeId, healthStatuses: [...health] } };
    }
    case 'nodeGetStorageHealth':
      return { backendHealth: [...storageHealth] };
    default:
      return {};
  }
}
