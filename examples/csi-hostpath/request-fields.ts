import { posix } from 'node:path';
import { invalidArgument } from './csi-error.js';

/** Linux's PATH_MAX counts the closing NUL. */
const LONGEST_PATH_BYTES = 4095;

/** @throws CsiError INVALID_ARGUMENT when a field that CSI requires was not sent */
export function required(field: string, value: string): string {
  if (value === '') throw invalidArgument(`${field} is missing`);
  return value;
}

/**
 * A path that the orchestrator gave, without `..`, double slashes and a slash at its end.
 *
 * @throws CsiError INVALID_ARGUMENT when it is missing, or can be no path here
 */
export function absolutePath(field: string, value: string): string {
  required(field, value);
  if (!value.startsWith('/')) throw invalidArgument(`${field} is not absolute`);
  if (value.includes('\0')) throw invalidArgument(`${field} has a NUL`);
  if (Buffer.byteLength(value) > LONGEST_PATH_BYTES) throw invalidArgument(`${field} is too long`);
  const path = posix.normalize(value).replace(/(?<=.)\/$/, '');
  if (path === '/') throw invalidArgument(`${field} is the root directory`);
  return path;
}
