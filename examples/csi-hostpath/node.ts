import { status } from '@grpc/grpc-js';
import {
  conditionCapability,
  healthCapability,
  nodeGetStorageHealth,
  nodeGetVolumeHealth,
  nodeGetVolumeStats,
  statsCapability,
  storageHealthCapability,
  type CsiVolume,
} from 'kube-volume-metrics/csi';
import {
  NodeServiceCapability_RPC_Type as Capability,
  type NodePublishVolumeRequest,
  type NodeServer,
  type VolumeCapability,
} from 'kube-volume-metrics/csi/v1';
import { isMetricsError } from 'kube-volume-metrics';
import { CsiError, failedPrecondition, invalidArgument, notFound } from './csi-error.js';
import type { Log } from './log.js';
import type { Placement } from './placement.js';
import { absolutePath, required } from './request-fields.js';
import type { Unary } from './unary.js';
import { VolumeAtPath } from './volume-at-path.js';
import { inlineVolume, isInlineId, isInlineRequest } from './inline-volumes.js';
import { checkedCapability, isReadOnly, kindOf } from './volume-capabilities.js';
import type { VolumeChanges } from './volume-changes.js';
import { problemsOf, storageProblems } from './health.js';
import type { Volume, VolumeStore } from './volume-store.js';

/** What the node service is made of. */
export interface NodeParts {
  readonly volumes: VolumeStore;
  readonly changes: VolumeChanges;
  readonly placement: Placement;
  readonly nodeId: string;
  readonly dataRoot: string;
  /** Whether it advertises GET_VOLUME_HEALTH and GET_STORAGE_HEALTH, of CSI 1.13. */
  readonly health: boolean;
  readonly timeoutMs: number;
  readonly log: Log;
}

/** Brings volumes to where the orchestrator wants them, and says how they are. */
export function nodeService(parts: NodeParts, unary: Unary): NodeServer {
  const { volumes, changes, placement, nodeId, dataRoot, health, timeoutMs, log } = parts;

  const known = (volumeId: string): Volume => {
    const volume = volumes.get(volumeId);
    if (volume === undefined) throw notFound(volumeId);
    return volume;
  };

  const options = {
    timeoutMs,
    knownVolume: ({ volumeId }: CsiVolume) => volumes.get(volumeId) !== undefined,
    providerFor: ({ volumeId, volumePath }: CsiVolume) =>
      new VolumeAtPath(known(volumeId), volumePath, { timeoutMs }),
    health: ({ volumeId }: CsiVolume) => problemsOf(known(volumeId), { timeoutMs }),
    onError: (error: unknown, { volumeId }: CsiVolume) => {
      // A question about a volume that is gone comes after each unpublish; nothing is wrong.
      if (isNotFound(error)) return;
      log(`asking about ${JSON.stringify(volumeId.slice(0, 128))} failed: ${errorText(error)}`);
    },
  };
  const stats = nodeGetVolumeStats(options);

  return {
    nodeGetInfo: unary(() => ({ nodeId, maxVolumesPerNode: 0n })),

    nodeGetCapabilities: unary(() => ({
      capabilities: [
        { rpc: { type: Capability.STAGE_UNSTAGE_VOLUME } },
        statsCapability,
        conditionCapability,
        ...(health ? [healthCapability, storageHealthCapability] : []),
      ],
    })),

    nodeStageVolume: unary(async (request, deadlineMs) => {
      const volumeId = required('volume_id', request.volumeId);
      const path = absolutePath('staging_target_path', request.stagingTargetPath);
      const capability = checkedCapability(request.volumeCapability, placement);
      return await changes.make(volumeId, deadlineMs, async (change) => {
        const volume = known(volumeId);
        checkKind(volume, capability);
        await placement.stage(volume, path, change);
        return {};
      });
    }),

    nodeUnstageVolume: unary(async (request, deadlineMs) => {
      const volumeId = required('volume_id', request.volumeId);
      const path = absolutePath('staging_target_path', request.stagingTargetPath);
      return await changes.make(volumeId, deadlineMs, async (change) => {
        await placement.unstage(known(volumeId), path, change);
        stats.forget(volumeId, request.stagingTargetPath);
        return {};
      });
    }),

    nodePublishVolume: unary(async (request, deadlineMs) => {
      const volumeId = required('volume_id', request.volumeId);
      const path = absolutePath('target_path', request.targetPath);
      const capability = checkedCapability(request.volumeCapability, placement);
      const isInline = isInlineRequest(request);
      const stagingPath = isInline ? '' : stagingPathOf(request);
      const readOnly = request.readonly || isReadOnly(capability);
      return await changes.make(volumeId, deadlineMs, async (change) => {
        const volume = isInline ? await inlineVolume(volumes, request) : known(volumeId);
        checkKind(volume, capability);
        if (readOnly) checkReadOnly(volume, placement);
        if (!isInline && !(await placement.isStaged(volume, stagingPath, change))) {
          throw failedPrecondition(`the volume is not staged at ${stagingPath}`);
        }
        await placement.publish(volume, path, readOnly, change);
        return {};
      });
    }),

    nodeUnpublishVolume: unary(async (request, deadlineMs) => {
      const volumeId = required('volume_id', request.volumeId);
      const path = absolutePath('target_path', request.targetPath);
      return await changes.make(volumeId, deadlineMs, async (change) => {
        // An inline volume is gone with the first of the calls, and the kubelet repeats one until it succeeds.
        if (isInlineId(volumeId) && volumes.get(volumeId) === undefined) return {};
        const volume = known(volumeId);
        await placement.unpublish(volume, path, change);
        stats.forget(volumeId, request.targetPath);
        if (volume.isInline && !(await placement.isInUse(volume, change))) await volumes.remove(volume);
        return {};
      });
    }),

    nodeGetVolumeStats: stats,

    nodeGetVolumeHealth: health ? nodeGetVolumeHealth(options) : unary(notSwitchedOn),

    nodeGetStorageHealth: health
      ? nodeGetStorageHealth({
          timeoutMs,
          health: () => storageProblems(dataRoot, { timeoutMs }),
          onError: (error) => {
            log(`asking about the storage failed: ${errorText(error)}`);
          },
        })
      : unary(notSwitchedOn),
  };
}

function stagingPathOf({ stagingTargetPath }: NodePublishVolumeRequest): string {
  if (stagingTargetPath === '') throw failedPrecondition('staging_target_path is missing');
  return absolutePath('staging_target_path', stagingTargetPath);
}

function notSwitchedOn(): never {
  throw new CsiError(status.UNIMPLEMENTED, 'health is not switched on');
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function checkKind(volume: Volume, capability: VolumeCapability): void {
  if (kindOf(capability) !== volume.kind) throw invalidArgument(`the volume is a ${volume.kind}`);
}

function checkReadOnly(volume: Volume, { isPrivileged }: Placement): void {
  if (!isPrivileged) throw invalidArgument('a read-only volume needs a driver that may mount');
  // The mount would be read-only, and the device behind it as writable as before.
  if (volume.kind === 'block') throw invalidArgument('a block volume cannot be read-only');
}

function isNotFound(error: unknown): boolean {
  if (isMetricsError(error)) return error.code === 'METRICS_NOT_FOUND';
  return (error as { code?: unknown }).code === status.NOT_FOUND;
}
