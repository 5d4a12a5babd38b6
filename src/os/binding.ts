import { MetricsError } from '../errors.js';
import { commandBinding } from './command-binding.js';
import type { DiskUsage, Walk } from './disk-usage.js';
import type { Binding } from './limits.js';
import { nativeBinding } from './native-binding.js';
import type { PathInfo } from './path-info.js';
import type { Share } from './share.js';
import type { StatFs } from './statfs.js';

/**
 * One way to ask the operating system. Paths are absolute. What fails in the system is a system error (system-error.ts), which
 * the functions above turn into a MetricsError.
 */
export interface OsBinding {
  readonly name: 'native' | 'command';
  statFs(path: string): Share<StatFs>;
  pathInfo(path: string): Share<PathInfo>;
  diskUsage(path: string, walk: Walk): Promise<DiskUsage>;
}

/** Which binding `'auto'` stands for here. */
export interface ActiveBinding {
  readonly binding: 'native' | 'command';
  /** Why it is not the native one. */
  readonly reason?: string;
}

/** Which binding `'auto'` stands for in this process, and why when it is not the native one. */
export function activeBinding(): ActiveBinding {
  const native = nativeBinding();
  return typeof native === 'string' ? { binding: 'command', reason: native } : { binding: 'native' };
}

/** @throws MetricsError METRICS_NOT_SUPPORTED where this platform or installation has no such binding */
export function osBinding(wanted: Binding): OsBinding {
  if (process.platform !== 'linux') {
    throw new MetricsError(
      'METRICS_NOT_SUPPORTED',
      `volumes are measured on Linux only, and this is ${process.platform}`,
    );
  }
  if (wanted === 'command') return commandBinding;
  const native = nativeBinding();
  if (typeof native !== 'string') return native;
  if (wanted === 'auto') return commandBinding;
  throw new MetricsError('METRICS_NOT_SUPPORTED', `the native binding cannot be used: ${native}`);
}
