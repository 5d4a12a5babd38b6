import { parseMountinfo, readMountinfo, visibleMounts, type Mount } from '../mounts.js';
import type { Counted, OsBinding, PathCall, PathInfo, StatFs, Walk } from '../os-binding.js';
import { isSystemError } from '../system-error.js';
import { withoutSlash } from '../volume-call.js';
import { askOf, Children, fromBytes, toBytes } from './children.js';
import { PathCalls, type WatchedCall } from './path-calls.js';
import { foundArgs, LateCommands, parseFound, parseStat, statArgs, statFsCall, type Stat } from './stat.js';
import { Tools } from './tools.js';
import { treeUsage } from './tree-usage.js';
import { WalkTurns } from './walk-turns.js';

/**
 * The commands that are running or waiting, in this thread of the process. Worker threads have their own:
 * threads cannot share a JavaScript object. Its methods are all that one copy of this package knows of
 * another's; a change to them needs another key.
 */
export interface InFlight {
  readonly version: 2;
  readonly calls: Pick<PathCalls, 'join'>;
  readonly turns: Pick<WalkTurns, 'inTurn' | 'abandoned' | 'checkFree'>;
  /** Of the commands beside those of `calls` and `turns`. */
  readonly late: Pick<LateCommands, 'blocks' | 'killed'>;
}

/** The ESM copy and the CommonJS copy of this package look here, and use what the other one has put. */
const KEY = Symbol.for('kube-volume-metrics/os@2');

export function newInFlight(): InFlight {
  return { version: 2, calls: new PathCalls(), turns: new WalkTurns(), late: new LateCommands() };
}

/** The one of this thread, made at first use. */
export function sharedInFlight(): InFlight {
  const shared = globalThis as { [KEY]?: InFlight };
  return (shared[KEY] ??= newInFlight());
}

/** Where the commands are, and what is in flight. Tests choose both. */
export interface CommandBindingParts {
  /** Directories that hold the commands. */
  readonly directories?: readonly string[];
  readonly inFlight?: InFlight;
}

/**
 * The binding that asks the operating system by commands: `stat`, `df`, `readlink`, and `du` and `find` under
 * `nice`. A path through `/proc/self` or `/dev/fd` leads to the command's own files.
 */
export function createCommandBinding(parts: CommandBindingParts = {}): OsBinding {
  const tools = new Tools(parts.directories);
  const inFlight = (): InFlight => parts.inFlight ?? sharedInFlight();

  function join<T>(kind: string, path: string, work: (children: Children) => Promise<T>): WatchedCall<T> {
    const plain = withoutSlash(path);
    return inFlight().calls.join(plain === path ? kind : `${kind} of a directory`, plain, () => {
      const children = new Children();
      return { answer: work(children), sign: () => children.sign(), end: () => children.end() };
    });
  }

  function stat(path: string): WatchedCall<Stat> {
    return join('stat', path, async (children) => {
      const file = await tools.file('stat');
      try {
        return await askOf(children, file, statArgs(path), parseStat, 'stat', path);
      } catch (error) {
        if (!isSystemError(error) || error.code !== 'EPERM') throw error;
        // GNU's stat needs statx(2), which an old seccomp filter refuses with EPERM. find does without it.
        const find = await tools.file('find');
        return await askOf(children, find, foundArgs(path), parseFound, 'stat', path).catch(() => {
          throw error;
        });
      }
    });
  }

  /**
   * Where a path leads, symlinks followed. A mount point needs no command: the kernel names it without
   * symlinks.
   */
  async function realPath(path: string, visible: readonly Mount[], children: Children): Promise<string> {
    const bytes = toBytes(path);
    if (visible.some(({ mountPoint }) => mountPoint === bytes)) return bytes;
    const file = await tools.file('readlink');
    const parse = (text: string): string | undefined => (text.startsWith('/') ? text : undefined);
    return await askOf(children, file, ['-n', '-f', '-v', '--', path], parse, 'readlink', path);
  }

  function realPathCall(path: string): WatchedCall<string> {
    return join('readlink', path, async (children) => await realPath(path, mountsInBytes(), children));
  }

  return {
    name: 'command',
    realPath(path: string): PathCall<string> {
      const call = realPathCall(path);
      return { answer: call.answer.then(fromBytes), leave: () => call.leave() };
    },
    statFs(path: string): PathCall<StatFs> {
      return join('statfs', path, (children) =>
        statFsCall(path, children, { tools, late: inFlight().late, visibleMounts: mountsInBytes, realPath }),
      );
    },
    pathInfo(path: string): PathCall<PathInfo> {
      const call = stat(path);
      return { answer: call.answer.then(toPathInfo), leave: () => call.leave() };
    },
    diskUsage(path: string, walk: Walk): Promise<Counted> {
      return treeUsage(path, walk, {
        tools,
        turns: inFlight().turns,
        stat,
        realPath: realPathCall,
        visibleMounts: mountsInBytes,
      });
    },
  };
}

/**
 * The visible mounts. Their names have one character for each byte, unlike those of `mounts()`.
 *
 * @throws MetricsError as {@link readMountinfo} does
 */
function mountsInBytes(): readonly Mount[] {
  return visibleMounts(parseMountinfo(readMountinfo('latin1')));
}

function toPathInfo({ kind, size, device, inode, rdev }: Stat): PathInfo {
  return { kind, size, device, inode, rdev };
}

export const commandBinding: OsBinding = createCommandBinding();
