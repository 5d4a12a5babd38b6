import { readFileSync } from 'node:fs';

/**
 * A text that changes as long as a process gets on, or could: when it has used processor time, and while it
 * waits for a processor, which with its low priority may take a while. undefined when that cannot be told. It
 * is read from the kernel's memory, in microseconds, also while the process is stuck in a system call.
 */
export function signOfLife(pid: number | undefined): string | undefined {
  if (pid === undefined) return undefined;
  const stat = read(`/proc/${String(pid)}/stat`);
  // The command's name may hold anything; it ends with the last parenthesis. Then come the state and, from the
  // 12th, utime and stime.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields === undefined) return undefined;
  if (fields[0] === 'R') return `runnable at ${String(performance.now())}`;
  // Nanoseconds on a processor. A kernel without schedstats has only ticks, of which a walk over a slow disk
  // uses few.
  return read(`/proc/${String(pid)}/schedstat`)?.split(' ', 1)[0] ?? fields.slice(11, 13).join(' ');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
