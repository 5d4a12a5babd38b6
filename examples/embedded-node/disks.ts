import { execa } from 'execa';
import { mounts } from 'kube-volume-metrics';
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { loopDevicesOf } from '../csi-hostpath/loop-devices.js';
import { mayMount } from '../csi-hostpath/may-mount.js';
import type { UndoList } from './undo-list.js';

const MIB = 1024 * 1024;

/**
 * The node's disks. Who may mount gets small filesystems of their own and a loop device; anybody else gets
 * directories and an image file, which are measured in the same way.
 */
export class Disks {
  readonly #undo: UndoList;
  #obstacle = mayMount() ? undefined : 'this process may not mount';

  constructor(undo: UndoList) {
    this.#undo = undo;
  }

  /** Why nothing can be mounted; undefined when it can. */
  get obstacle(): string | undefined {
    return this.#obstacle;
  }

  /** A new disk with a filesystem, at a path where nothing is yet. */
  async filesystem(path: string, mib: number): Promise<void> {
    await mkdir(path, { recursive: true });
    if (this.#obstacle !== undefined) return;
    try {
      await this.#mount(path, '-t', 'tmpfs', '-o', `mode=0755,size=${String(mib)}m,nr_inodes=4096`, 'disk');
    } catch (error) {
      // Root in a container may have the right and be refused all the same.
      this.#obstacle = firstLine(error);
    }
  }

  /** Shows a disk at another path too, as the kubelet shows a local volume in the folder of its pod. */
  async bind(disk: string, path: string): Promise<void> {
    if (this.#obstacle !== undefined) {
      await symlink(disk, path);
      return;
    }
    await mkdir(path);
    await this.#mount(path, '--bind', disk);
  }

  /** Shows a device, or an image file, at another path too, as the kubelet does for a raw block volume. */
  async bindDevice(device: string, path: string): Promise<void> {
    await writeFile(path, '');
    if (this.#obstacle === undefined) await this.#mount(path, '--bind', device);
  }

  /** A new raw disk: a loop device over the file, or the file. */
  async raw(image: string, mib: number): Promise<string> {
    await writeFile(image, '');
    await truncate(image, mib * MIB);
    if (this.#obstacle !== undefined) return image;
    this.#undo.add(`the loop device over ${image}`, async () => {
      for (const device of await loopDevicesOf(image)) await run('losetup', '--detach', device);
    });
    try {
      return (await run('losetup', '--find', '--show', image)).trim();
    } catch {
      return image;
    }
  }

  async #mount(path: string, ...args: string[]): Promise<void> {
    this.#undo.add(`the mount on ${path}`, async () => {
      if (!(await mounts()).some(({ mountPoint }) => mountPoint === path)) return;
      // A program that looks into it at this moment does not keep it.
      await run('umount', '-l', path);
    });
    await run('mount', ...args, path);
  }
}

/** Runs a command to its end; in a group of its own, which Ctrl-C does not interrupt half way. */
async function run(command: string, ...args: string[]): Promise<string> {
  const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`;
  const { stdout } = await execa(command, args, {
    cwd: '/',
    env: { LC_ALL: 'C', PATH },
    stdin: 'ignore',
    detached: true,
    cleanup: false,
    timeout: 10_000,
  });
  return stdout;
}

function firstLine(error: unknown): string {
  const text = (error as { stderr?: unknown }).stderr;
  const line = typeof text === 'string' && text !== '' ? text : String(error);
  return line.split('\n')[0] ?? '';
}
