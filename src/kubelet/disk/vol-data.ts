import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errorText, propertyOf } from '../../errors.js';
import { escapeControls } from '../../escape.js';

/**
 * What the kubelet notes about a CSI volume, in `vol_data.json`. Which keys there are depends on the
 * kubelet's version and on the volume's mode; an unknown key is left out.
 */
export interface VolData {
  /** The PersistentVolume's name, or for an inline volume the pod's name for it. */
  readonly specVolID?: string;
  readonly volumeHandle?: string;
  readonly driverName?: string;
  readonly nodeName?: string;
  readonly attachmentID?: string;
  /** `Ephemeral` for an inline volume; anything else, or absent, for a PersistentVolume. */
  readonly volumeLifecycleMode?: string;
  readonly seLinuxMountContext?: string;
}

const KEYS = [
  'specVolID',
  'volumeHandle',
  'driverName',
  'nodeName',
  'attachmentID',
  'volumeLifecycleMode',
  'seLinuxMountContext',
] as const satisfies readonly (keyof VolData)[];

/** A real one has some 300 bytes; CSI allows a handle of 128, and some drivers use more. */
const MOST_BYTES = 64 * 1024;

const buffer = Buffer.allocUnsafe(MOST_BYTES);

/**
 * Reads a `vol_data.json`. The kubelet does not write it atomically, so an empty or cut one is met in good
 * health too. Nothing but a regular file is read, and a symlink is not followed.
 *
 * @returns what is in it; or, as a text for people, why that is not known
 */
export function readVolData(path: string): VolData | string {
  let text: string | undefined;
  try {
    text = readRegularFile(path);
  } catch (error) {
    const code = propertyOf(error, 'code');
    if (code === 'ENOENT') return 'vol_data.json is missing';
    if (code === 'ELOOP') return 'vol_data.json is a symlink, and is not followed';
    if (code === 'ENXIO') return 'vol_data.json is not a regular file';
    return `vol_data.json cannot be read: ${escapeControls(errorText(error))}`;
  }
  if (text === undefined) return `vol_data.json is not a regular file of at most ${String(MOST_BYTES)} bytes`;
  if (text === '') return 'vol_data.json is empty: the kubelet was about to write it, or its disk was full';
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return 'vol_data.json is not JSON: the kubelet was about to write it, or its disk was full';
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return 'vol_data.json is not an object';
  }
  const data: { -readonly [Key in keyof VolData]: VolData[Key] } = {};
  for (const key of KEYS) {
    const value: unknown = Object.hasOwn(content, key) ? (content as VolData)[key] : undefined;
    if (typeof value === 'string' && value !== '') data[key] = value;
  }
  return data;
}

/** The text of a small regular file; undefined for anything else. Never waits for a fifo's writer. */
function readRegularFile(path: string): string | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile() || stats.size > MOST_BYTES) return undefined;
    let length = 0;
    // A file that grows while it is read ends at the end of the buffer.
    while (length < MOST_BYTES) {
      const read = readSync(file, buffer, length, MOST_BYTES - length, null);
      if (read === 0) break;
      length += read;
    }
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
}
