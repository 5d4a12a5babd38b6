import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errorText, propertyOf } from '../../errors.js';
import { escapeControls } from '../../escape.js';
import { objectOf, textOf } from '../checked-json.js';

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

const buffer = Buffer.allocUnsafeSlow(MOST_BYTES + 1);

class NotAFile extends Error {}

/** The text of a `vol_data.json`, or, for people, why it is not known. */
export interface VolDataText {
  readonly text?: string;
  readonly problem?: string;
}

/**
 * Reads a `vol_data.json`. A symlink is not followed, and what is not a small file costs no more than one.
 */
export function readVolData(path: string): VolDataText {
  try {
    const text = readSmallFile(path);
    return text === undefined
      ? { problem: `vol_data.json has more than ${String(MOST_BYTES)} bytes` }
      : { text };
  } catch (error) {
    const code = propertyOf(error, 'code');
    if (code === 'ENOENT') return { problem: 'vol_data.json is missing' };
    if (code === 'ELOOP') return { problem: 'vol_data.json is a symlink, and is not followed' };
    if (error instanceof NotAFile || code === 'EISDIR' || code === 'ENXIO' || code === 'EAGAIN') {
      return { problem: 'vol_data.json is not a regular file' };
    }
    return { problem: `vol_data.json cannot be read: ${escapeControls(errorText(error))}` };
  }
}

/**
 * What is in a `vol_data.json`, or, as a text for people, why that is not known. The kubelet does not write
 * it atomically, so an empty or cut one is met in good health too.
 */
export function parseVolData({ text = '', problem }: VolDataText): VolData | string {
  if (problem !== undefined) return problem;
  if (text === '') return 'vol_data.json is empty: the kubelet was about to write it, or its disk was full';
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return 'vol_data.json is not JSON: the kubelet was about to write it, or its disk was full';
  }
  const given = objectOf(content);
  if (given === undefined) return 'vol_data.json is not an object';
  const data: { -readonly [Key in keyof VolData]: VolData[Key] } = {};
  for (const key of KEYS) {
    const value = Object.hasOwn(given, key) ? textOf(given[key]) : undefined;
    if (value !== undefined) data[key] = value;
  }
  return data;
}

/**
 * The text of a small file; undefined if it is larger. Never waits for a fifo's writer, and reads no more of
 * a device than of a file.
 */
function readSmallFile(path: string): string | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(file, buffer, length, buffer.length - length, null);
      if (read === 0) {
        // So does a fifo that nobody writes to end.
        if (length === 0 && !fstatSync(file).isFile()) throw new NotAFile();
        return buffer.toString('utf8', 0, length);
      }
      length += read;
    }
    return undefined;
  } finally {
    closeSync(file);
  }
}
