import { readFileSync } from 'node:fs';

/**
 * How much processor time a process has used, as a text that changes with it; undefined when that is not known. Reading it is a look
 * into the kernel's memory, which takes microseconds also while the process is stuck.
 */
export function cpuTime(pid: number | undefined): string | undefined {
  if (pid === undefined) return undefined;
  try {
    // Nanoseconds on a processor; a kernel without schedstats counts in ticks only.
    return readFileSync(`/proc/${String(pid)}/schedstat`, 'latin1').split(' ', 1)[0];
  } catch {
    return ticks(pid);
  }
}

function ticks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    // utime and stime; the name of the command, which may hold anything, ends with the last parenthesis.
    return stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).join(' ');
  } catch {
    return undefined;
  }
}
