import type { ChildProcess } from 'node:child_process';

const children = new Set<ChildProcess>();

/**
 * Kills a child when this process, or this worker thread, exits, unless it has ended by then. Nothing listens
 * for signals: what they do is the host's to say, also when it listens for one only once. Neither a signal that
 * just ends this process nor worker.terminate() is told to any listener: see tools.ts for these.
 */
export function killAtExit(child: ChildProcess): void {
  if (children.size === 0) process.on('exit', killAll);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', killAll);
  });
}

function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}
