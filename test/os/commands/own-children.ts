import { readdirSync, readFileSync } from 'node:fs';

/**
 * The command lines of this process's children by their pids; of a child that is only waited for, the line is
 * empty.
 */
export function ownChildren(): Map<string, string> {
  const pids = readdirSync('/proc/self/task').flatMap((thread) =>
    read(`/proc/self/task/${thread}/children`).split(' '),
  );
  return new Map(
    pids.filter((pid) => pid !== '').map((pid) => [pid, read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')]),
  );
}

/** Resolves once there is what is looked for. */
export async function appears<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
