import { status } from '@grpc/grpc-js';
import type { NodeGetVolumeHealthRequest } from '../gen/csi/v1/csi.js';
import { serviceError } from './grpc-status.js';

/** A volume as CSI names it. */
export interface CsiVolume {
  /** The volume's id in the driver: a PersistentVolume's `volumeHandle`. */
  readonly volumeId: string;
  /** Where it is staged or published: absolute, as the driver's process sees it. */
  readonly volumePath: string;
  /** Where it is staged, if it is. Some drivers cannot find the device without it. */
  readonly stagingTargetPath?: string | undefined;
}

/** CSI asks for at most 128 bytes; real ids, such as those of Azure, are longer. */
const LONGEST_ID_BYTES = 4096;

/** Linux's PATH_MAX counts the closing NUL. */
const LONGEST_PATH_BYTES = 4095;

/**
 * Checks the fields of a request before anything on the node is looked at. A relative path gets NOT_FOUND,
 * not INVALID_ARGUMENT, because csi-sanity expects that.
 *
 * @throws ServiceError INVALID_ARGUMENT, NOT_FOUND
 */
export function checkVolumeRequest({ volumeId, volumePath }: CsiVolume): void {
  checkId(volumeId);
  refuseIf(volumePath === '', 'volume_path is missing');
  checkPath('volume_path', volumePath);
  if (!volumePath.startsWith('/')) {
    throw serviceError(status.NOT_FOUND, `no volume at ${volumePath}: the path is not absolute`);
  }
}

/**
 * The same for NodeGetVolumeHealth, where both paths may be empty.
 *
 * @throws ServiceError INVALID_ARGUMENT
 */
export function checkHealthRequest(request: NodeGetVolumeHealthRequest): void {
  const { volumeId, volumePublishPath, stagingTargetPath } = request;
  checkId(volumeId);
  const paths = { volume_publish_path: volumePublishPath, staging_target_path: stagingTargetPath };
  for (const [name, path] of Object.entries(paths)) {
    checkPath(name, path);
    refuseIf(path !== '' && !path.startsWith('/'), `${name} is not absolute: ${path}`);
  }
}

function checkId(volumeId: string): void {
  refuseIf(volumeId === '', 'volume_id is missing');
  refuseIf(
    Buffer.byteLength(volumeId) > LONGEST_ID_BYTES,
    `volume_id has more than ${String(LONGEST_ID_BYTES)} bytes`,
  );
}

function checkPath(name: string, path: string): void {
  refuseIf(path.includes('\0'), `${name} has a NUL`);
  refuseIf(
    Buffer.byteLength(path) > LONGEST_PATH_BYTES,
    `${name} has more than ${String(LONGEST_PATH_BYTES)} bytes`,
  );
}

function refuseIf(isWrong: boolean, details: string): void {
  if (isWrong) throw serviceError(status.INVALID_ARGUMENT, details);
}
