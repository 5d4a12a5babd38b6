import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeCsiDriver } from '../../../src/testing/csi/index.js';

const DIST = join(import.meta.dirname, '../../../dist/csi');

let driver: FakeCsiDriver;

beforeAll(async () => {
  driver = await FakeCsiDriver.start();
});
afterAll(async () => {
  await driver.stop();
});

test.each([
  ['module', `import { CsiNodeClient, MetricsCsi } from ${JSON.stringify(join(DIST, 'index.js'))};`],
  ['commonjs', `const { CsiNodeClient, MetricsCsi } = require(${JSON.stringify(join(DIST, 'index.cjs'))});`],
])(
  'a process (%s) whose client is idle ends by itself, and has no more listeners than before',
  async (type, load) => {
    const script = `${load}
    const listeners = () => ['SIGINT', 'SIGTERM', 'SIGHUP', 'uncaughtException', 'unhandledRejection'].map((name) => process.listenerCount(name)).join();
    const before = listeners();
    const client = new CsiNodeClient(process.env.ENDPOINT);
    new MetricsCsi({ client, volumeId: 'v', volumePath: '/p' }).getMetrics().then(({ capacity }) => {
      console.log(String(capacity), listeners() === before);
    });`;
    const child = spawn(process.execPath, [`--input-type=${type}`, '-e', script], {
      env: { ...process.env, ENDPOINT: driver.endpoint },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const closed = once(child, 'close');
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await closed;
    expect({ out, errors, code: child.exitCode }).toEqual({ out: '100 true\n', errors: '', code: 0 });
  },
);
