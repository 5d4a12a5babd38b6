import { MetricsError } from '../errors.js';
import { checkedText } from './limits.js';
import { systemError } from './system-error.js';

/**
 * The absolute form of a path that a caller gave. `.` and empty components go; `..` stays, because what it means depends
 * on symlinks that only the kernel may follow. So does a slash at the end, which says that it must be a directory.
 *
 * @throws TypeError when it is no string; MetricsError METRICS_NO_PATH_DEFINED when it is empty; a system error EINVAL when
 * it holds a NUL, which no path can
 */
export function volumePath(path: string): string {
  if (checkedText('path', path) === '') {
    // The kubelet's text, kubernetes pkg/volume/metrics_errors.go.
    throw new MetricsError('METRICS_NO_PATH_DEFINED', 'no path defined for disk usage metrics.');
  }
  if (path.includes('\0')) throw systemError('EINVAL', 'statfs', path.replaceAll('\0', '\\0'));
  if (path.startsWith('/') && !UNTIDY.test(path)) return path;
  const absolute = path.startsWith('/') ? path : `${currentDirectory(path)}/${path}`;
  const tidy = absolute.split('/').filter((part) => part !== '' && part !== '.');
  return `/${tidy.join('/')}${/\/\.?$/.test(path) && tidy.length > 0 ? '/' : ''}`;
}

const UNTIDY = /\/(?:\/|\.(?:\/|$))/;

/** The path itself, by which it is known whether it is stuck: without the slash at its end. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function currentDirectory(path: string): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new MetricsError(
      'METRICS_NOT_FOUND',
      `the relative path '${path}' has no base: the current directory is gone`,
      { cause: error, path },
    );
  }
}
