import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** XFS makes no smaller filesystem than 300 MB. The images are sparse. */
const IMAGE_BYTES = 512 * 1024 * 1024;

/** Filesystems that are made on an image file and mounted through a loop device. */
export type LoopFilesystem = 'ext4' | 'xfs' | 'btrfs';

/**
 * Directories, mounts and devices for tests, below one temporary directory. Whatever was made is undone,
 * newest first, by {@link close}, and at the end of the process in any case.
 */
export class TestMounts {
  /** The directory that everything is below; symlinks resolved, as the kernel lists mount points. */
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-mounts-')));
  readonly #undo: (() => void)[] = [];
  readonly #onExit = (): void => {
    this.close();
  };
  #names = 0;

  constructor() {
    process.once('exit', this.#onExit);
  }

  /** A new empty directory. */
  newDirectory(): string {
    const path = join(this.directory, `d${String(++this.#names)}`);
    mkdirSync(path);
    return path;
  }

  /** A new tmpfs. */
  tmpfs(options = 'size=64m'): string {
    return this.mount(this.newDirectory(), '-t', 'tmpfs', '-o', options, 'kvm-test');
  }

  /** A new filesystem on a loop device; the device goes with the mount. */
  onLoop(type: LoopFilesystem): string {
    const image = this.image(IMAGE_BYTES);
    run(`mkfs.${type}`, '-q', image);
    return this.mount(this.newDirectory(), '-t', type, '-o', 'loop', image);
  }

  /** An overlay whose three directories are below `base`. */
  overlay(base: string): string {
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(base, name));
    for (const path of [lower, upper, work]) mkdirSync(path!);
    const options = `lowerdir=${lower!},upperdir=${upper!},workdir=${work!}`;
    return this.mount(this.newDirectory(), '-t', 'overlay', '-o', options, 'kvm-test');
  }

  /** Mounts a directory or a file on another one. */
  bind(source: string, target: string): string {
    return this.mount(target, '--bind', source);
  }

  /** Makes one mount read-only; the filesystem stays as it is for its other mounts. */
  makeReadOnly(mountPoint: string): void {
    run('mount', '-o', 'remount,bind,ro', mountPoint);
  }

  /** Mounts on a target that exists, with any arguments of mount(8) before it. */
  mount(target: string, ...args: string[]): string {
    run('mount', ...args, target);
    this.#undo.push(() => {
      run('umount', '-l', target);
    });
    return target;
  }

  /** A new sparse file of that size. */
  image(bytes: number): string {
    const path = join(this.directory, `i${String(++this.#names)}`);
    const fd = openSync(path, 'wx');
    ftruncateSync(fd, bytes);
    closeSync(fd);
    return path;
  }

  /** A loop device over a file; returns its path. */
  loopDevice(image: string): string {
    const device = run('losetup', '--find', '--show', image).trim();
    this.#undo.push(() => {
      run('losetup', '--detach', device);
    });
    return device;
  }

  /** Something else to undo, before whatever was made until now. */
  onClose(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Unmounts, detaches and removes everything. */
  close(): void {
    process.removeListener('exit', this.#onExit);
    const errors: unknown[] = [];
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        undo();
      } catch (error) {
        errors.push(error);
      }
    }
    // Below a mount that is still there, removing would delete what is not ours.
    if (readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${this.directory}/`)) {
      errors.push(new Error(`there are still mounts below ${this.directory}`));
    } else {
      rmSync(this.directory, { recursive: true, force: true });
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be undone');
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The system folders of root's programs are not on every PATH. */
function run(program: string, ...args: string[]): string {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  return execFileSync(program, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
}
