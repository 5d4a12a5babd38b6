import type { OsBinding } from './binding.js';
import { askOf } from './commands/ask.js';
import { Children } from './commands/children.js';
import { realPathOf, visibleMounts } from './commands/mount-of.js';
import { parseStat, statArgs, type Stat } from './commands/stat.js';
import { sharedState, type CommandState } from './commands/state.js';
import { statFsCall } from './commands/statfs-call.js';
import { Tools } from './commands/tools.js';
import { walkByCommands } from './commands/walk.js';
import type { DiskUsage, Walk } from './disk-usage.js';
import type { PathInfo } from './path-info.js';
import type { Share } from './share.js';
import type { StatFs } from './statfs.js';
import { withoutSlash } from './volume-path.js';

/** Where the commands are, and what is under way; tests choose both. */
export interface CommandBindingParts {
  /** Directories that hold the commands. */
  readonly directories?: readonly string[];
  readonly state?: CommandState;
}

/**
 * The binding that asks the operating system by commands: `stat`, `df`, `readlink`, and `du` and `find` under
 * `nice`. A path through `/proc/self` or `/dev/fd` leads to what is the command's own.
 */
export function createCommandBinding(parts: CommandBindingParts = {}): OsBinding {
  const tools = new Tools(parts.directories);
  const state = (): CommandState => parts.state ?? sharedState();

  function share<T>(kind: string, path: string, work: (children: Children) => Promise<T>): Share<T> {
    const plain = withoutSlash(path);
    return state().calls.share(plain === path ? kind : `${kind} of a directory`, plain, () => {
      const children = new Children();
      return { answer: work(children), end: () => children.end() };
    });
  }

  function stat(path: string): Share<Stat> {
    return share('stat', path, async (children) => {
      const file = await tools.file('stat');
      return await askOf(children, file, statArgs(path), parseStat, 'stat', path);
    });
  }

  function realPath(path: string): Share<string> {
    return share('readlink', path, async (children) =>
      realPathOf(path, await visibleMounts(), tools, children),
    );
  }

  return {
    name: 'command',
    statFs(path: string): Share<StatFs> {
      return share('statfs', path, (children) => statFsCall(path, tools, children, state().late));
    },
    pathInfo(path: string): Share<PathInfo> {
      const shared = stat(path);
      return { answer: shared.answer.then(toPathInfo), leave: () => shared.leave() };
    },
    diskUsage(path: string, walk: Walk): Promise<DiskUsage> {
      return walkByCommands(path, walk, { tools, walks: state().walks, stat, realPath });
    },
  };
}

function toPathInfo({ kind, size, device, inode, rdev }: Stat): PathInfo {
  return { kind, size, device, inode, rdev };
}

export const commandBinding: OsBinding = createCommandBinding();
