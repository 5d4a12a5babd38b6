// @ts-check
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** The system folders of root's programs are not on every PATH. */
const ENV = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };

const run = promisify(execFile);

/**
 * The temporary directory, mounts and processes of the soak. All of it goes with {@link clear} and with this
 * process.
 */
export class Workplace {
  /** Symlinks resolved, as the kernel lists mount points. */
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-soak-')));
  /** @type {Set<ChildProcess>} */
  #children = new Set();

  constructor() {
    // Unprivileged processes work below it.
    chmodSync(this.directory, 0o755);
    process.once('exit', () => {
      this.clear();
    });
  }

  /**
   * Mounts a new tmpfs.
   *
   * @param {string} path a new directory
   * @param {string} options
   */
  async tmpfs(path, options) {
    await mkdir(path, { recursive: true });
    await run('mount', ['-n', '-t', 'tmpfs', '-o', options, 'kvm-soak', path], { env: ENV });
  }

  /**
   * Takes a mount out of the tree, busy or not.
   *
   * @param {string} path
   */
  async unmount(path) {
    await run('umount', ['-n', '-l', path], { env: ENV });
  }

  /**
   * @param {string} source a C file
   * @returns {Promise<string>} the program
   */
  async compile(source) {
    const program = join(this.directory, 'hostile');
    await run('gcc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], {
      env: ENV,
    });
    return program;
  }

  /**
   * Starts a program that ends with its standard input, and waits for its first line.
   *
   * @param {string} program
   * @param {readonly string[]} args
   * @param {{ uid?: number, gid?: number }} [options]
   * @returns {Promise<ChildProcess>}
   */
  async start(program, args, options = {}) {
    const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.add(child);
    const ended = once(child, 'close').then(([code, signal]) => {
      this.#children.delete(child);
      throw new Error(`${program} ended before it was ready: ${String(signal ?? code)}`);
    });
    // Its later end is not an error.
    ended.catch(() => undefined);
    // It may be gone before it has read what is written to it.
    child.stdin?.on('error', () => undefined);
    if (child.stdout === null) throw new Error('no standard output');
    await Promise.race([once(child.stdout, 'data'), ended]);
    return child;
  }

  /** @param {ChildProcess} child */
  async kill(child) {
    if (!this.#children.has(child)) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }

  /** Ends the processes, unmounts and removes everything. Synchronous: it also runs when the process ends. */
  clear() {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.clear();
    const mounts = this.#mounts();
    if (mounts.length > 0) execFileSync('umount', ['-n', '-l', ...mounts.reverse()], { env: ENV });
    // Below a mount that is still there, removing would delete what is not ours.
    if (this.#mounts().length > 0) throw new Error(`there are still mounts below ${this.directory}`);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Mount points below the directory, outer before inner. */
  #mounts() {
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .flatMap((line) => line.split(' ')[4] ?? [])
      .filter((path) => path.startsWith(`${this.directory}/`));
  }
}
