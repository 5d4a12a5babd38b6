import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const GUIDE = resolve(import.meta.dirname, '../../docs/prometheus.md');
const GIVE_UP_MS = 30_000;
const POLL_MS = 100;

/** One series in the answer to a query. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [timeSeconds: number, text: string];
}

/**
 * A Prometheus server that is set up as docs/prometheus.md says, for an exporter that takes a kubelet's
 * place.
 */
export class PrometheusProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kvm-prometheus-'));
  readonly #url: string;
  readonly #process: ChildProcess;
  #log = '';

  private constructor(target: string, port: number) {
    this.#url = `http://127.0.0.1:${String(port)}`;
    const configuration = join(this.#folder, 'prometheus.yml');
    writeFileSync(configuration, dropInConfiguration(target));
    this.#process = spawn('prometheus', [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${join(this.#folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${String(port)}`,
    ]);
    this.#process.stderr?.on('data', (text) => (this.#log += String(text)));
  }

  /** @param target - host and port of the exporter */
  static async start(target: string): Promise<PrometheusProcess> {
    return new PrometheusProcess(target, await freePort());
  }

  /** What a query comes to once it comes to anything that fits. */
  async until(text: string, fits: (found: readonly Series[]) => boolean): Promise<readonly Series[]> {
    const giveUpAt = Date.now() + GIVE_UP_MS;
    for (;;) {
      const found = await this.query(text).catch(() => []);
      if (fits(found)) return found;
      if (Date.now() > giveUpAt || this.#process.exitCode !== null) {
        throw new Error(`${text} came to ${JSON.stringify(found)}\n${this.#log}`);
      }
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
  }

  async query(text: string): Promise<readonly Series[]> {
    const response = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent(text)}`);
    const { status, data, error } = (await response.json()) as {
      status: string;
      data: { result: Series[] };
      error?: string;
    };
    if (status !== 'success') throw new Error(error);
    return data.result;
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.kill('SIGKILL')) await once(this.#process, 'exit');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The guide's drop-in configuration, for this exporter, without waiting a minute for the first scrape. */
function dropInConfiguration(target: string): string {
  const blocks = [...readFileSync(GUIDE, 'utf8').matchAll(/^```yaml\n(scrape_configs:[\s\S]*?)^```$/gm)];
  const dropIn = blocks.map(([, text = '']) => text).find((text) => text.includes('replacement: kubelet'));
  if (dropIn?.includes("'127.0.0.1:9100'") !== true) throw new Error(`${GUIDE} has no such configuration`);
  return `global: { scrape_interval: 200ms, scrape_timeout: 200ms }\n${dropIn.replace('127.0.0.1:9100', target)}`;
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
