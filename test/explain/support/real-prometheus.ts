import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GIVE_UP_MS = 60_000;
const POLL_MS = 50;

/** A Prometheus server with one scrape configuration. */
export class RealPrometheus {
  readonly url: string;
  readonly #folder: string;
  readonly #process: ChildProcess;
  #log = '';

  private constructor(folder: string, port: number, prefix: string) {
    this.#folder = folder;
    this.url = `http://127.0.0.1:${String(port)}${prefix}`;
    this.#process = spawn('prometheus', [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${String(port)}`,
      `--web.route-prefix=${prefix === '' ? '/' : prefix}`,
      '--web.enable-lifecycle',
      // Series of a job that is gone stay that long.
      '--query.lookback-delta=3s',
    ]);
    this.#process.stderr?.on('data', (text) => (this.#log += String(text)));
  }

  /** @param scrapeConfigs - as in its configuration; JSON is YAML too */
  static async start(scrapeConfigs: readonly object[], prefix = ''): Promise<RealPrometheus> {
    const folder = mkdtempSync(join(tmpdir(), 'kvm-explain-prometheus-'));
    writeConfiguration(folder, scrapeConfigs);
    const prometheus = new RealPrometheus(folder, await freePort(), prefix);
    await prometheus.#until(async () => (await fetch(`${prometheus.url}/-/ready`)).ok);
    return prometheus;
  }

  /** Takes another configuration, and waits until it is in use. */
  async reload(scrapeConfigs: readonly object[]): Promise<void> {
    writeConfiguration(this.#folder, scrapeConfigs);
    const { ok } = await fetch(`${this.url}/-/reload`, { method: 'POST' });
    if (!ok) throw new Error(`it does not take the configuration\n${this.#log}`);
  }

  /** Waits until a question is answered with true. */
  async #until(isTrue: () => Promise<boolean>): Promise<void> {
    const giveUpAt = Date.now() + GIVE_UP_MS;
    while (!(await isTrue().catch(() => false))) {
      if (Date.now() > giveUpAt || this.#process.exitCode !== null) throw new Error(this.#log);
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.kill('SIGKILL')) await once(this.#process, 'exit');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function writeConfiguration(folder: string, scrapeConfigs: readonly object[]): void {
  const configuration = {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms' },
    scrape_configs: scrapeConfigs,
  };
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configuration));
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
