import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GIVE_UP_MS = 60_000;
const POLL_MS = 50;

/** One series in the answer to a query. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [timeSeconds: number, text: string];
}

/** A Prometheus server with a folder of its own. */
export class PrometheusProcess {
  readonly url: string;
  readonly #folder: string;
  readonly #process: ChildProcess;
  #log = '';

  private constructor(folder: string, port: number, prefix: string, flags: readonly string[]) {
    this.#folder = folder;
    this.url = `http://127.0.0.1:${String(port)}${prefix}`;
    this.#process = spawn('prometheus', [
      `--config.file=${configurationIn(folder)}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${String(port)}`,
      `--web.route-prefix=${prefix === '' ? '/' : prefix}`,
      '--web.enable-lifecycle',
      ...flags,
    ]);
    this.#process.stderr?.on('data', (text) => (this.#log += String(text)));
  }

  /**
   * Starts one, and waits until it answers.
   *
   * @param configuration - what its file says
   * @param prefix - of the paths of its API
   */
  static async start(
    configuration: string,
    prefix = '',
    ...flags: readonly string[]
  ): Promise<PrometheusProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'kvm-prometheus-'));
    writeFileSync(configurationIn(folder), configuration);
    const prometheus = new PrometheusProcess(folder, await freePort(), prefix, flags);
    await prometheus.#poll(
      async () => (await fetch(`${prometheus.url}/-/ready`)).ok,
      (isReady) => isReady,
      'it is not ready',
    );
    return prometheus;
  }

  /** Takes another configuration, and waits until it is in use. */
  async reload(configuration: string): Promise<void> {
    writeFileSync(configurationIn(this.#folder), configuration);
    const { ok } = await fetch(`${this.url}/-/reload`, { method: 'POST' });
    if (!ok) throw new Error(`it does not take the configuration\n${this.#log}`);
  }

  /** What a query comes to once it comes to anything that fits. */
  async until(text: string, fits: (found: readonly Series[]) => boolean): Promise<readonly Series[]> {
    return await this.#poll(() => this.query(text), fits, `${text} does not come to what fits`);
  }

  async query(text: string): Promise<readonly Series[]> {
    const response = await fetch(`${this.url}/api/v1/query?query=${encodeURIComponent(text)}`);
    const { status, data, error } = (await response.json()) as {
      status: string;
      data: { result: Series[] };
      error?: string;
    };
    if (status !== 'success') throw new Error(error);
    return data.result;
  }

  /** Asks until the answer fits. */
  async #poll<T>(ask: () => Promise<T>, fits: (found: T) => boolean, problem: string): Promise<T> {
    const giveUpAt = Date.now() + GIVE_UP_MS;
    for (;;) {
      const found = await ask().catch(() => undefined);
      if (found !== undefined && fits(found)) return found;
      if (Date.now() > giveUpAt || this.#process.exitCode !== null) {
        throw new Error(`${problem}: ${JSON.stringify(found)}\n${this.#log}`);
      }
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.kill('SIGKILL')) await once(this.#process, 'exit');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function configurationIn(folder: string): string {
  return join(folder, 'prometheus.yml');
}

/** A port that was free a moment ago: Prometheus cannot choose one. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
