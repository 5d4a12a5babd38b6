import { Session } from 'node:inspector/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { CsiNodeClient, MetricsCsi } from '../../src/csi/index.js';
import { FakeCsiDriver } from '../../src/testing/csi/index.js';

const SRC = join(dirname(dirname(import.meta.dirname)), 'src');

test('a warm reading enters at most eight files on its way to the wire', async () => {
  const driver = await FakeCsiDriver.start();
  const client = new CsiNodeClient(driver.endpoint);
  const provider = new MetricsCsi({ client, volumeId: 'v', volumePath: '/p' });
  await provider.getMetrics();
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  await provider.getMetrics();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  client.close();
  await driver.stop();
  const entered = result
    .filter(({ functions }) =>
      functions.some(({ functionName, ranges }) => functionName !== '' && (ranges[0]?.count ?? 0) > 0),
    )
    .map(({ url }) => (url.startsWith('file:') ? fileURLToPath(url) : url))
    .filter((file) => file.startsWith(`${SRC}/`))
    .map((file) => relative(SRC, file))
    .filter((file) => !file.startsWith('csi/gen/') && !file.startsWith('testing/'))
    .sort();
  expect(entered).toContain('csi/client/connection.ts');
  expect(entered.length, entered.join(', ')).toBeLessThanOrEqual(8);
});
