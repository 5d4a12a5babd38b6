import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { CsiTestClient } from '../../../src/testing/csi/index.js';
import { DriverProcess, type StartOptions } from './driver-process.js';

/**
 * A temporary directory with a socket, a data root, and the directories of an orchestrator; and the driver on
 * it. Whatever it has mounted goes with it.
 */
export class Workplace {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-hostpath-')));
  readonly socket = join(this.directory, 'csi.sock');
  readonly dataRoot = join(this.directory, 'data-root');
  readonly caller = new CsiTestClient(this.socket);
  #driver: DriverProcess | undefined;
  #names = 0;

  /** The driver, once it was started. */
  get driver(): DriverProcess {
    if (this.#driver === undefined) throw new Error('the driver was not started');
    return this.#driver;
  }

  /** Starts the driver, and waits until it listens. */
  async start({ args = [], ...options }: StartOptions = {}): Promise<DriverProcess> {
    const all = ['--data-root', this.dataRoot, '--node-id', 'node-of-tests', ...args];
    this.#driver = await DriverProcess.start({ socket: this.socket, args: all, ...options });
    return this.#driver;
  }

  /** A path in it where nothing is. */
  newPath(): string {
    return join(this.directory, `p${String(++this.#names)}`);
  }

  newDirectory(): string {
    const path = this.newPath();
    mkdirSync(path);
    return path;
  }

  /** Mount points below it. */
  mountPoints(): string[] {
    return mountPointsBelow(this.directory);
  }

  /** Takes away all that is mounted and attached; the driver goes on. */
  clear(): void {
    for (const point of this.mountPoints().reverse()) execFileSync('umount', ['-l', point]);
    detachLoopDevices(this.directory);
  }

  async close(): Promise<void> {
    this.caller.close();
    this.#driver?.kill('SIGKILL');
    await this.#driver?.ended;
    this.clear();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/**
 * One workplace and driver for all tests of a suite: what a test leaves mounted or attached is taken away
 * after it.
 *
 * @param use - is given the workplace before the first test
 */
export function shareDriver(options: StartOptions, use: (place: Workplace) => void): void {
  let place: Workplace;

  beforeAll(async () => {
    place = new Workplace();
    use(place);
    await place.start(options);
  });

  afterEach(() => {
    place.clear();
  });

  afterAll(async () => {
    await place.close();
  });
}

function mountPointsBelow(directory: string): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((point) => point.startsWith(`${directory}/`));
}

/** Loop devices over images below a directory. */
export function loopDevices(directory: string): string[] {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const list = execFileSync('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  return list
    .split('\n')
    .filter((line) => line.includes(`${directory}/`))
    .map((line) => line.split(' ')[0] ?? '');
}

function detachLoopDevices(directory: string): void {
  if (process.getuid?.() !== 0) return;
  for (const device of loopDevices(directory)) execFileSync('losetup', ['--detach', device]);
}
