import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const CAP_SYS_ADMIN = 21n;

/** Whether this process may mount; root in a container has the number but not the right. */
export function mayMount(): boolean {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
    return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
  } catch {
    return false;
  }
}

/** Mounts of a test, undone newest first. */
export class RootMounts {
  readonly #points: string[] = [];

  /** A tmpfs, as the kubelet makes one for a Secret. */
  tmpfs(point: string, size = '64m'): void {
    this.#mount(point, '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs');
  }

  /** Mounts a directory, a file or a device's file on another. */
  bind(source: string, point: string): void {
    this.#mount(point, '--bind', source);
  }

  /** @throws Error if a mount is still in use; the others are undone */
  close(): void {
    const errors: unknown[] = [];
    for (const point of this.#points.splice(0).reverse()) {
      try {
        run('umount', point);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be unmounted');
  }

  #mount(point: string, ...args: string[]): void {
    run('mount', ...args, point);
    this.#points.push(point);
  }
}

/** The system folders of root's programs are not on every PATH. */
function run(program: string, ...args: readonly string[]): void {
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' };
  execFileSync(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
}
