// @ts-check Prints, as JSON, the files of a compiled src/ in which a function ran: during the first call of
// its kind in this process, which makes the object it calls, and during a warm one. `node
// files-entered-run.mjs CALL FOLDER`, by files-entered.mjs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [call = '', folder = ''] = process.argv.slice(2);

/**
 * A module of the compiled package.
 *
 * @param {string} name
 * @returns {Promise<any>}
 */
const load = (name) => import(pathToFileURL(join(folder, name)).href);

/**
 * @typedef {object} Prepared
 * @property {() => () => Promise<unknown>} open makes the object that is called, and returns the call
 * @property {() => unknown} [end]
 */

/**
 * What prepares each call.
 *
 * @type {Readonly<Record<string, () => Promise<Prepared>>>}
 */
const CALLS = {
  native: () => statFs('native'),
  commands: () => statFs('command'),
  async analyzer() {
    const { FsResourceAnalyzer } = await load('index.js');
    const provider = {
      name: 'own',
      getMetrics: () => Promise.resolve({ time: new Date(), source: 'own', capacity: 10n, used: 1n }),
    };
    const pod = { metadata: { uid: 'u', name: 'p', namespace: 'n' }, spec: { volumes: [{ name: 'v' }] } };
    const node = { getPods: () => [pod], listVolumesForPod: () => new Map([['v', provider]]) };
    return {
      open() {
        const analyzer = new FsResourceAnalyzer(node);
        return async () => {
          const [measured] = await analyzer.calculate();
          const all = [...measured.ephemeralVolumes, ...measured.persistentVolumes];
          if (all.length !== 1 || all[0].state !== 'ok') throw new Error('there is no reading');
        };
      },
    };
  },
  async csi() {
    const { CsiNodeClient, MetricsCsi } = await load('csi/index.js');
    // In a process of its own, so that its files do not count.
    const driver = spawn(process.execPath, [fileURLToPath(import.meta.url), 'driver', folder], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [endpoint] = await once(driver.stdout.setEncoding('utf8'), 'data');
    /** @type {{ close(): void } | undefined} */
    let client;
    return {
      open() {
        client = new CsiNodeClient(endpoint.trim());
        const provider = new MetricsCsi({ client, volumeId: 'v', volumePath: '/v' });
        return () => provider.getMetrics();
      },
      async end() {
        client?.close();
        driver.stdin.end();
        await once(driver, 'exit');
      },
    };
  },
};

/** @param {'native' | 'command'} binding */
async function statFs(binding) {
  const { MetricsStatFs } = await load('index.js');
  return {
    open() {
      const provider = new MetricsStatFs('/', { binding });
      return () => provider.getMetrics();
    },
  };
}

/** A driver until its input ends; prints where it listens. */
async function drive() {
  const { FakeCsiDriver } = await load('testing/csi/index.js');
  const driver = await FakeCsiDriver.start();
  console.log(driver.endpoint);
  await once(process.stdin.resume(), 'end');
  await driver.stop();
}

/**
 * The files with a function that runs during a call.
 *
 * @param {() => Promise<unknown>} one
 * @returns {Promise<string[]>}
 */
async function entered(one) {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  // Takes along whatever has run until now.
  await session.post('Profiler.takePreciseCoverage');
  await one();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  return result
    .filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0))
    .filter(({ url }) => url.startsWith(pathToFileURL(`${folder}/`).href))
    .map(({ url }) => relative(folder, fileURLToPath(url)).replace(/\.js$/, '.ts'))
    .sort();
}

if (call === 'driver') {
  await drive();
} else {
  const prepared = await CALLS[call]?.();
  if (prepared === undefined) throw new Error(`there is no call ${call}`);
  /** @type {() => Promise<unknown>} */
  let one = () => Promise.resolve();
  const first = await entered(() => {
    one = prepared.open();
    return one();
  });
  for (let count = 0; count < 20; count++) await one();
  const warm = await entered(one);
  await prepared.end?.();
  process.stdout.write(JSON.stringify({ first, warm }));
}
