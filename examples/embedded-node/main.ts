// A small node, made for real in a temporary folder, and measured as a kubelet measures its own: `npm start`
// runs it.
import {
  activeBinding,
  FsResourceAnalyzer,
  statsSummary,
  stringify,
  type ConditionChange,
} from 'kube-volume-metrics';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { constants } from 'node:os';
import { Registry } from 'prom-client';
import { findNode } from './found-node.js';
import { makeNode, type NodeOnDisk } from './node-on-disk.js';
import { NODE_NAME } from './pods.js';
import { runInOwnNamespace } from './own-namespace.js';
import { programOptions, USAGE, type ProgramOptions } from './program-options.js';
import { serve, type Page } from './server.js';
import { show, stopSignal } from './terminal.js';
import { UndoList } from './undo-list.js';
import { volumeTable } from './volume-table.js';
import { writeFiles } from './workload.js';

/** A kubelet takes a minute. Here something is to be seen. */
const PERIOD_MS = 1_000;

const code = await runInOwnNamespace();
if (code !== undefined) process.exit(code);

const stop = stopSignal();
const undo = new UndoList();
try {
  const options = programOptions(process.argv.slice(2));
  if (options.mode === 'help') print(USAGE);
  else await run(options);
} catch (error) {
  if (stop.aborted) {
    process.exitCode = 128 + (constants.signals[stop.reason as NodeJS.Signals] ?? 0);
  } else {
    complain(error instanceof Error ? error.message : String(error));
    process.exitCode = error instanceof TypeError ? 2 : 1;
  }
}
for (const left of await undo.run()) {
  complain(`left behind: ${left}`);
  process.exitCode = 1;
}

/** @throws the reason of the stop when it came before there was anything to show */
async function run(options: Exclude<ProgramOptions, { mode: 'help' }>): Promise<void> {
  if (process.platform !== 'linux') {
    throw new Error(`volumes are measured on Linux only, and this is ${process.platform}`);
  }
  const node = await makeNode(undo, stop);
  const found = await findNode(node.rootDir, undo);

  // Measures all volumes, each with its own limit.
  const changes: ConditionChange[] = [];
  const analyzer = new FsResourceAnalyzer(found, {
    periodMs: PERIOD_MS,
    // These trees are small, and nobody else waits for the disk.
    walkShare: 1,
    onConditionChange: (change) => changes.push(change),
  });
  undo.add('the analyzer', () => analyzer.stop());
  await analyzer.calculate();
  stop.throwIfAborted();

  // Exports what it knows: for claims as the kubelet does, and for the other volumes.
  const registry = new Registry();
  new VolumeStatsCollector(analyzer, { registry, podVolumes: true });

  const table = (): string => {
    const events = changes
      .slice(-5)
      .map(({ podRef, message }) => `${podRef.namespace}/${podRef.name}: ${message}\n`);
    return `${volumeTable(analyzer.podVolumeStats())}\n${events.join('')}`;
  };
  if (options.mode === 'once') {
    print(`${about(node)}\n${table()}\n${await registry.metrics()}\n`);
    return;
  }

  const summary = (): string => stringify(statsSummary(analyzer.podVolumeStats(), { nodeName: NODE_NAME }));
  const pages = new Map<string, Page>([
    ['/metrics', { type: registry.contentType, text: () => registry.metrics() }],
    ['/stats/summary', { type: 'application/json', text: summary }],
    ['/healthz', { type: 'text/plain', text: () => 'ok\n' }],
  ]);
  const address = await serve(pages, options.port, undo);
  analyzer.start();
  const addresses = [...pages.keys()].map((path) => address + path).join('  ');
  const failure = new AbortController();
  const over = AbortSignal.any([stop, failure.signal]);
  const writing = writeFiles(node.written, over);
  writing.catch(() => {
    failure.abort();
  });
  await show(() => `${about(node)}${addresses}\n\n${table()}`, over);
  await writing;
}

/** Where the node is, and what the numbers are worth. */
function about({ folder, mountObstacle, journalDevice }: NodeOnDisk): string {
  const { binding, reason } = activeBinding();
  const disks =
    mountObstacle === undefined
      ? 'The local volume and the CSI drivers have small disks of their own (tmpfs).'
      : `Nothing is mounted (${mountObstacle}): volumes that are mounts of their own have no numbers.`;
  const journal = `The block volume is ${journalDevice}.`;
  const why = reason === undefined ? 'the addon, which asks the kernel' : `df, stat, du and find; ${reason}`;
  return `A node in ${folder}\n${disks} ${journal}\nbinding: ${binding} (${why})\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}
