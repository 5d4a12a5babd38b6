// @ts-check
import { once } from 'node:events';
import http from 'node:http';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { Registry } from 'prom-client';
import { NAMESPACE } from './pods.mjs';

/** @typedef {import('./pods.mjs').SoakPod} SoakPod */
/** @typedef {import('./volume.mjs').Quantity} Quantity */
/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample */

const SCRAPERS = 10;

/** @type {Readonly<Record<string, Quantity>>} */
const QUANTITIES = {
  capacity_bytes: 'capacity',
  available_bytes: 'available',
  used_bytes: 'used',
  inodes: 'inodes',
  inodes_free: 'inodesFree',
  inodes_used: 'inodesUsed',
};

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/g;

/** An exporter as the README shows it, and programs that scrape it. */
export class Scrapes {
  #registry = new Registry();
  #server = http.createServer((_request, response) => {
    this.#registry.metrics().then(
      (text) => response.setHeader('content-type', this.#registry.contentType).end(text),
      (/** @type {unknown} */ error) => response.writeHead(500).end(String(error)),
    );
  });
  #pods;
  #findings;
  #random;
  /** Scrapes that were checked. */
  count = 0;
  samples = 0;

  /**
   * @param {object} parts
   * @param {import('kube-volume-metrics').FsResourceAnalyzer} parts.analyzer
   * @param {import('./pods.mjs').Pods} parts.pods
   * @param {import('./findings.mjs').Findings} parts.findings
   * @param {import('./random.mjs').Random} parts.random
   */
  constructor({ analyzer, pods, findings, random }) {
    new VolumeStatsCollector(analyzer, { registry: this.#registry, podVolumes: true });
    this.#pods = pods;
    this.#findings = findings;
    this.#random = random;
  }

  /** @param {import('./scene.mjs').Clock} clock */
  async scrape(clock) {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    await Promise.all(Array.from({ length: SCRAPERS }, () => this.#scraper(clock)));
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** @param {import('./scene.mjs').Clock} clock */
  async #scraper(clock) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    while (!clock.isOver) {
      const asked = this.#pods.expected();
      const text = await this.#get(agent);
      // Those that were there before and after: the text was made between.
      const still = new Set(this.#pods.expected());
      const expected = asked.filter((pod) => still.has(pod));
      for (const problem of this.#problems(text, expected)) {
        this.#findings.add('a scrape that is wrong', problem);
      }
      this.count += 1;
      await clock.pause(this.#random.between(100, 500));
    }
    agent.destroy();
  }

  /**
   * @param {http.Agent} agent
   * @returns {Promise<string>}
   */
  async #get(agent) {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    const request = http.get({ agent, port, host: '127.0.0.1', path: '/metrics' });
    const [response] = /** @type {[http.IncomingMessage]} */ (await once(request, 'response'));
    response.setEncoding('utf8');
    let text = '';
    for await (const chunk of response) text += String(chunk);
    if (response.statusCode !== 200) throw new Error(`a scrape failed: ${text}`);
    return text;
  }

  /**
   * @param {string} text
   * @param {readonly SoakPod[]} expected whose volumes must be in it
   */
  *#problems(text, expected) {
    const states = new Map();
    const seen = new Set();
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const sample = parsed(line);
      if (sample === undefined) {
        yield `not a line of the format: ${line}`;
        continue;
      }
      const series = line.slice(0, line.lastIndexOf(' '));
      if (seen.has(series)) yield `twice: ${series}`;
      seen.add(series);
      this.samples += 1;
      if (sample.name === 'kube_volume_metrics_volume_state') {
        const key = `${String(sample.labels['pod'])}/${String(sample.labels['volume_name'])}`;
        if (states.has(key)) yield `two states: ${key}`;
        if (this.#pods.named(sample.labels['pod'] ?? '') === undefined) yield `nobody asked about it: ${key}`;
        states.set(key, sample.labels['state']);
      }
      const problem = this.#numberProblem(sample);
      if (problem !== undefined) yield `${line}: ${problem}`;
    }
    for (const { name, volumes } of expected) {
      for (const volume of volumes.keys()) {
        if (!states.has(`${name}/${volume}`)) yield `missing: ${name}/${volume}`;
      }
    }
  }

  /** @param {Sample} sample */
  #numberProblem({ name, labels, value }) {
    const [, ofPod, end = ''] = /^kubelet_volume_stats_(pod_)?(.*)$/.exec(name) ?? [];
    const quantity = QUANTITIES[end];
    if (quantity === undefined) return undefined;
    if (labels['namespace'] !== NAMESPACE) return 'another namespace';
    const volume =
      ofPod === undefined
        ? this.#pods.claimed(labels['persistentvolumeclaim'] ?? '')
        : this.#pods.named(labels['pod'] ?? '')?.volumes.get(labels['volume_name'] ?? '');
    return volume === undefined ? 'nobody asked about it' : volume.numberProblem(quantity, value);
  }
}

/**
 * @param {string} line
 * @returns {Sample | undefined}
 */
function parsed(line) {
  const [, name, labelText = '', number = ''] = LINE.exec(line) ?? [];
  const value = number === '+Inf' ? Infinity : Number(number);
  if (name === undefined || number === '' || Number.isNaN(value)) return undefined;
  /** @type {Record<string, string>} */
  const labels = {};
  let length = 0;
  for (const [all, label = '', text = ''] of labelText.matchAll(LABEL)) {
    labels[label] = text;
    length += all.length;
  }
  return length === labelText.length ? { name, labels, value } : undefined;
}
