// Measures one walk in this process and sends what it cost: `candidate.mjs NAME PATH`, forked by bench/walk.mjs.
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

const [name, path] = process.argv.slice(2);
const walk = await CANDIDATES[name]();
// What is paid once (code that is compiled, threads, the allocator's pools) is no part of a walk.
await walk(new URL('.', import.meta.url).pathname);
globalThis.gc?.();

const openBefore = readdirSync('/proc/self/fd').length;
let most = 0;
const sampler = setInterval(() => {
  most = Math.max(most, readdirSync('/proc/self/fd').length - openBefore);
}, 5);
const RESOLUTION_MS = 1;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
// The kernel's high-water mark of memory, set to what is used now.
writeFileSync('/proc/self/clear_refs', '5');
const memoryBefore = memoryKib('VmRSS');
delay.enable();
const cpuBefore = process.cpuUsage();
const start = performance.now();
await walk(path);
const wallMs = performance.now() - start;
const { user, system } = process.cpuUsage(cpuBefore);
delay.disable();
clearInterval(sampler);

process.send({
  wallMs,
  cpuMs: (user + system) / 1000,
  peakMib: Math.max(0, memoryKib('VmHWM') - memoryBefore) / 1024,
  descriptors: most,
  loopLateMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS),
});

function memoryKib(field) {
  return Number(
    new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1],
  );
}
