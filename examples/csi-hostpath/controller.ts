import {
  ControllerServiceCapability_RPC_Type,
  type ControllerServer,
  type CreateVolumeRequest,
  type ValidateVolumeCapabilitiesRequest,
  type Volume as CsiVolume,
} from 'kube-volume-metrics/csi/v1';
import { isInRange, newCapacity } from './capacity.js';
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from './csi-error.js';
import type { Placement } from './placement.js';
import { required } from './request-fields.js';
import type { Unary } from './unary.js';
import { kindOf, kindOfAll, whyUnsupported } from './volume-capabilities.js';
import type { VolumeChanges } from './volume-changes.js';
import { volumeIdOf, type Volume, type VolumeStore } from './volume-store.js';

/** What the controller service is made of. */
export interface ControllerParts {
  readonly volumes: VolumeStore;
  readonly changes: VolumeChanges;
  readonly placement: Placement;
}

/** Makes and removes volumes. */
export function controllerService(parts: ControllerParts, unary: Unary): ControllerServer {
  const { volumes, changes, placement } = parts;
  return {
    controllerGetCapabilities: unary(() => ({
      capabilities: [{ rpc: { type: ControllerServiceCapability_RPC_Type.CREATE_DELETE_VOLUME } }],
    })),

    createVolume: unary(async (request, deadlineMs) => {
      const name = checkedName(request.name);
      return await changes.make(volumeIdOf(name), deadlineMs, async () => ({
        volume: toCsi(await createdVolume(parts, request)),
      }));
    }),

    deleteVolume: unary(async (request, deadlineMs) => {
      const volumeId = required('volume_id', request.volumeId);
      return await changes.make(volumeId, deadlineMs, async (change) => {
        const volume = volumes.get(volumeId);
        if (volume === undefined) return {};
        if (await placement.isInUse(volume, change)) throw failedPrecondition('the volume is in use');
        await volumes.remove(volume);
        return {};
      });
    }),

    validateVolumeCapabilities: unary((request) => {
      const volumeId = required('volume_id', request.volumeId);
      if (request.volumeCapabilities.length === 0) throw invalidArgument('volume_capabilities is missing');
      const volume = volumes.get(volumeId);
      if (volume === undefined) throw notFound(volumeId);
      const why = whyNotConfirmed(volume, request, placement);
      if (why !== undefined) return { message: why };
      const { volumeContext, volumeCapabilities, parameters } = request;
      return { confirmed: { volumeContext, volumeCapabilities, parameters }, message: '' };
    }),
  };
}

/** The volume as it was asked for, made if it is not there yet. */
async function createdVolume(
  { volumes, placement }: ControllerParts,
  { name, capacityRange, volumeCapabilities, parameters: given }: CreateVolumeRequest,
): Promise<Volume> {
  const kind = kindOfAll(volumeCapabilities, placement);
  const parameters = checkedParameters(given);
  const there = volumes.get(volumeIdOf(name));
  if (there === undefined) {
    return await volumes.create({
      name,
      isInline: false,
      kind,
      capacityBytes: newCapacity(capacityRange, kind),
      parameters,
    });
  }
  if (there.kind !== kind) throw alreadyExists(`the volume exists, as a ${there.kind}`);
  if (!isInRange(there.capacityBytes, capacityRange)) {
    throw alreadyExists(`the volume exists, with ${String(there.capacityBytes)} bytes`);
  }
  if (!isSame(there.parameters, parameters)) throw alreadyExists('the volume exists, with other parameters');
  return there;
}

function whyNotConfirmed(
  volume: Volume,
  { volumeCapabilities, parameters }: ValidateVolumeCapabilitiesRequest,
  placement: Placement,
): string | undefined {
  const why = volumeCapabilities.map((each) => whyUnsupported(each, placement)).find(Boolean);
  if (why !== undefined) return why;
  if (volumeCapabilities.some((each) => kindOf(each) !== volume.kind))
    return `the volume is a ${volume.kind}`;
  const isOther = Object.keys(parameters).length > 0 && !isSame(volume.parameters, ownParameters(parameters));
  return isOther ? 'the volume has other parameters' : undefined;
}

const LONGEST_NAME_BYTES = 128;

/**
 * Controls but tab and line ends, which CSI forbids in a name. Anything else is allowed: no name becomes a
 * path.
 */
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

function checkedName(name: string): string {
  required('name', name);
  if (Buffer.byteLength(name) > LONGEST_NAME_BYTES) throw invalidArgument('name is longer than 128 bytes');
  if (FORBIDDEN.test(name)) throw invalidArgument('name has control characters');
  return name;
}

/** Added by Kubernetes' provisioner where it is told to, and for nobody in particular. */
const FOREIGN = 'csi.storage.k8s.io/';

function ownParameters(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => !key.startsWith(FOREIGN)));
}

function checkedParameters(given: Readonly<Record<string, string>>): Record<string, string> {
  const parameters = ownParameters(given);
  const unknown = Object.keys(parameters).find((key) => key !== 'abnormal');
  if (unknown !== undefined) throw invalidArgument(`there is no parameter ${JSON.stringify(unknown)}`);
  return parameters;
}

function isSame(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  return one['abnormal'] === other['abnormal'];
}

function toCsi({ id, capacityBytes }: Volume): CsiVolume {
  return { volumeId: id, capacityBytes, volumeContext: {} };
}
