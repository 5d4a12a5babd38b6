import { status } from '@grpc/grpc-js';
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
  refuseIf(volumeId === '', 'volume_id is missing');
  refuseIf(volumePath === '', 'volume_path is missing');
  refuseIf(
    Buffer.byteLength(volumeId) > LONGEST_ID_BYTES,
    `volume_id has more than ${String(LONGEST_ID_BYTES)} bytes`,
  );
  refuseIf(volumePath.includes('\0'), 'volume_path has a NUL');
  refuseIf(
    Buffer.byteLength(volumePath) > LONGEST_PATH_BYTES,
    `volume_path has more than ${String(LONGEST_PATH_BYTES)} bytes`,
  );
  if (!volumePath.startsWith('/')) {
    throw serviceError(status.NOT_FOUND, `no volume at ${volumePath}: the path is not absolute`);
  }
}

function refuseIf(isWrong: boolean, details: string): void {
  if (isWrong) throw serviceError(status.INVALID_ARGUMENT, details);
}
