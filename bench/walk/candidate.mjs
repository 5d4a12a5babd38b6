// Measures one walk in this process and sends what it cost: `candidate.mjs NAME PATH [watched]`, forked by
// bench/walk.mjs. A walk that is watched tells of descriptors and of the event loop too, at the cost of some
// processor time for looking.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const CANDIDATES = {
  native: async () => {
    const { diskUsage } = await import('kube-volume-metrics');
    return (path) => diskUsage(path, { binding: 'native' });
  },
  'get-folder-size': async () => {
    const { default: getFolderSize } = await import('get-folder-size');
    return (path) => getFolderSize.loose(path);
  },
  'fast-folder-size': async () => {
    const { default: fastFolderSize } = await import('fast-folder-size');
    return (path) =>
      new Promise((resolve, reject) => {
        fastFolderSize(path, (error, bytes) => (error ? reject(error) : resolve(bytes)));
      });
  },
};

const [name, path, watched] = process.argv.slice(2);
const walk = await CANDIDATES[name]();
// What is paid once (code that is compiled, threads, the allocator's pools) is no part of a walk.
await walk(new URL('.', import.meta.url).pathname);
globalThis.gc?.();

const watch = watched === 'watched' ? startWatch() : undefined;
// The kernel's high-water mark of memory, set to what is used now.
writeFileSync('/proc/self/clear_refs', '5');
const memoryBefore = memoryKib('VmRSS');
const cpuBefore = process.cpuUsage();
const start = performance.now();
await walk(path);
const wallMs = performance.now() - start;
const { user, system } = process.cpuUsage(cpuBefore);
process.send({
  wallMs,
  cpuMs: (user + system) / 1000,
  peakMib: Math.max(0, memoryKib('VmHWM') - memoryBefore) / 1024,
  ...watch?.(),
});

/**
 * Looks until it is asked: the most descriptors that were open, and by how much the event loop was late at
 * worst.
 */
function startWatch() {
  const openBefore = readdirSync('/proc/self/fd').length;
  let descriptors = 0;
  const sampler = setInterval(() => {
    descriptors = Math.max(descriptors, readdirSync('/proc/self/fd').length - openBefore);
  }, 5);
  const resolution = 1;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  return () => {
    delay.disable();
    clearInterval(sampler);
    return { descriptors, loopLateMs: Math.max(0, delay.max / 1e6 - resolution) };
  };
}

function memoryKib(field) {
  return Number(
    new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1],
  );
}
