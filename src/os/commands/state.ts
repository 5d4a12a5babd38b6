import { SharedCalls } from '../shared-calls.js';
import { LateCommands } from './late-commands.js';
import { Walks } from './walks.js';

/**
 * What the commands have under way in this thread of the process. Worker threads have their own: a JavaScript
 * object cannot be shared. Its methods are all that one copy of this package knows of another's; a change to
 * them needs another key.
 */
export interface CommandState {
  readonly version: 1;
  readonly calls: Pick<SharedCalls, 'share'>;
  readonly walks: Pick<Walks, 'inTurn' | 'abandoned' | 'checkFree'>;
  /** Of the commands beside those of `calls` and `walks`. */
  readonly late: Pick<LateCommands, 'blocks' | 'killed'>;
}

/** The ESM copy and the CJS copy of this package look here, and use what the other has put. */
const KEY = Symbol.for('kube-volume-metrics/os@1');

export function newState(): CommandState {
  return { version: 1, calls: new SharedCalls(), walks: new Walks(), late: new LateCommands() };
}

/** The state of this thread, made when it is first asked for. */
export function sharedState(): CommandState {
  const shared = globalThis as { [KEY]?: CommandState };
  return (shared[KEY] ??= newState());
}
