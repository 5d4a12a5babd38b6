import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { builtDriver } from './build-driver.js';

/** How the driver is started. */
export interface StartOptions {
  readonly socket?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
}

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The example as a process of its own. It is killed at the end of this one at the latest. */
export class DriverProcess {
  /** All that it has said. */
  readonly lines: string[] = [];
  readonly ended: Promise<End>;
  readonly #child: ChildProcessByStdio<null, null, Readable>;
  readonly #kill = (): void => {
    this.#child.kill('SIGKILL');
  };
  #wanted: { readonly text: string; readonly resolve: (line: string) => void }[] = [];

  constructor({ socket, args = [], env = {}, nodeArgs = [] }: StartOptions) {
    this.#child = spawn(process.execPath, [...nodeArgs, builtDriver(), ...args], {
      env: { ...process.env, ...(socket !== undefined && { CSI_ENDPOINT: `unix://${socket}` }), ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.once('exit', this.#kill);
    const reader = createInterface({ input: this.#child.stderr });
    reader.on('line', (line) => {
      this.lines.push(line);
      for (const { text, resolve } of this.#wanted) if (line.includes(text)) resolve(line);
      this.#wanted = this.#wanted.filter(({ text }) => !line.includes(text));
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        process.removeListener('exit', this.#kill);
        resolve({ code, signal });
      });
    });
  }

  /** Starts the driver and waits until it listens. */
  static async start(options: StartOptions): Promise<DriverProcess> {
    const driver = new DriverProcess(options);
    const end = await Promise.race([driver.said('listens on'), driver.ended]);
    if (typeof end === 'object') {
      throw new Error(`the driver ended with ${JSON.stringify(end)}: ${driver.lines.join('\n')}`);
    }
    return driver;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The first line with the text, once it is there. */
  said(text: string): Promise<string> {
    const line = this.lines.find((each) => each.includes(text));
    if (line !== undefined) return Promise.resolve(line);
    return new Promise((resolve) => this.#wanted.push({ text, resolve }));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it as an orchestrator would. */
  async stop(): Promise<End> {
    this.kill('SIGTERM');
    return await this.ended;
  }
}
