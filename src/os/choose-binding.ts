import { MetricsError } from '../errors.js';
import { commandBinding } from './commands/command-binding.js';
import { nativeBinding } from './native/native-binding.js';
import type { OsBinding } from './os-binding.js';
import type { Binding } from './volume-call.js';

/** Which binding `'auto'` stands for here. */
export interface ActiveBinding {
  readonly binding: 'native' | 'command';
  /** Why it is not the native one. */
  readonly reason?: string;
}

/** Which binding `'auto'` stands for in this process, and why if it is not the native one. */
export function activeBinding(): ActiveBinding {
  const native = nativeBinding();
  return typeof native === 'string' ? { binding: 'command', reason: native } : { binding: 'native' };
}

/** @throws MetricsError METRICS_NOT_SUPPORTED if this platform or installation lacks the binding */
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
