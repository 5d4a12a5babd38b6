import type { Metrics } from '../metrics.js';
import type { FsInfo } from '../os/statfs.js';

/** What a filesystem says of itself, as fields of a reading. */
export function filesystemReading(info: FsInfo): Omit<Metrics, 'time' | 'source'> {
  const { capacity, available, used, inodes, inodesFree, inodesUsed, readOnly, warnings } = info;
  return {
    capacity,
    available,
    ...(used !== undefined && { used }),
    ...(inodes !== undefined && { inodes }),
    ...(inodesFree !== undefined && { inodesFree }),
    ...(inodesUsed !== undefined && { inodesUsed }),
    ...(readOnly !== undefined && { readOnly }),
    ...(warnings !== undefined && { warnings }),
  };
}
