import { status } from '@grpc/grpc-js';
import type { CsiVolume } from './csi-volume.js';
import { serviceError } from './grpc-status.js';

/** CSI asks for 128 bytes; real ids, such as those of Azure, are longer. */
const LONGEST_ID_BYTES = 4096;

/** Linux's PATH_MAX counts the closing NUL. */
const LONGEST_PATH_BYTES = 4095;

/**
 * What is wrong with a request as such, before anything is looked at. A relative path is one where no volume is, as csi-sanity
 * has it, and not a wrong argument.
 *
 * @throws ServiceError
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
