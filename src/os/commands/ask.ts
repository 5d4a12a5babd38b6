import { MetricsError } from '../../errors.js';
import { systemError } from '../system-error.js';
import { fromBytes } from './bytes.js';
import type { Children } from './children.js';
import { errnoOf } from './errno-text.js';

/**
 * A path of more bytes is ENAMETOOLONG to every system call (PATH_MAX counts the NUL at its end), however a
 * child is given it.
 */
const LONGEST_PATH = 4_095;

/** Throws what the kernel would say to a path that is too long for it. */
function checkLength(syscall: string, path: string): void {
  if (Buffer.byteLength(path) > LONGEST_PATH) throw systemError('ENAMETOOLONG', syscall, path);
}

/**
 * What a command prints of one path, read by `parse`.
 *
 * @throws a system error of `syscall` when the command failed on the path; MetricsError METRICS_FS_INFO_FAILED
 * when what it said is not understood
 */
export async function askOf<T>(
  children: Children,
  file: string,
  args: readonly string[],
  parse: (text: string) => T | undefined,
  syscall: string,
  path: string,
): Promise<T> {
  checkLength(syscall, path);
  const { exitCode, stdout, stderr } = await children.ask(file, args, path);
  const answer = exitCode === 0 ? parse(stdout) : undefined;
  if (answer !== undefined) return answer;
  const errno = errnoOf(stderr);
  if (errno !== undefined) throw systemError(errno, syscall, path);
  const said = fromBytes(stderr || stdout).trim();
  throw new MetricsError('METRICS_FS_INFO_FAILED', `${file} gave no answer for ${path}: ${said}`, { path });
}
