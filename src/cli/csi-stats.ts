import { MetricsCsi, type CsiVolume } from '../csi/index.js';
import type { Metrics, VolumeCondition } from '../index.js';
import { humanBytes, percent, UNKNOWN } from './amounts.js';
import { CsiSession, told, type CsiRequest, type Field } from './csi-session.js';
import { measure, type Row } from './measure.js';

/** Asks a driver for one volume, and prints what it says. Returns whether it said numbers or a condition. */
export async function csiStats(request: CsiRequest, volume: CsiVolume, exact: boolean): Promise<boolean> {
  const session = new CsiSession(request);
  const { client } = session;
  const { timeoutMs } = request;
  const began = performance.now();
  // A driver that does not say its name may still have numbers: those have the other half of the time.
  const identity = await session.ask((options) =>
    client.getPluginInfo({ ...options, timeoutMs: timeoutMs / 2 }),
  );
  const { name, vendorVersion: version } = identity.answer ?? { name: '', vendorVersion: '' };
  const provider = new MetricsCsi({
    client: {
      readVolume: (volume, options) =>
        client.readVolume(volume, {
          ...options,
          timeoutMs: Math.max(1, timeoutMs - (performance.now() - began)),
        }),
    },
    ...volume,
    ...(name !== '' && { driverName: name }),
  });
  const rows = await measure([{ path: volume.volumePath, provider }], request.signal);
  client.close();
  await session.print(
    'csi stats',
    {
      driver: identity.answer && { name, version },
      volumes: rows.map((row) => ({ volumeId: volume.volumeId, ...row })),
    },
    [
      ['driver', told(identity, ({ name, vendorVersion }) => `${name} ${vendorVersion}`)],
      ['volume', `${volume.volumeId} at ${volume.volumePath}`],
      ...rows.flatMap((row) => fieldsOf(row, exact)),
    ],
  );
  return rows.every(({ state }) => state === 'ok');
}

function fieldsOf({ state, metrics, error }: Row, exact: boolean): Field[] {
  const fields: Field[] = [['state', state]];
  if (error !== undefined) fields.push(['reason', `${error.code}: ${error.message}`]);
  if (metrics === undefined) return fields;
  const { capacity, available, used, inodes, inodesFree, inodesUsed, condition, warnings = [] } = metrics;
  const bytes = (value: bigint | undefined): string =>
    value === undefined ? UNKNOWN : exact ? String(value) : humanBytes(value);
  const count = (value: bigint | undefined): string => (value === undefined ? UNKNOWN : String(value));
  return [
    ...fields,
    ['capacity', bytes(capacity)],
    ['used', `${bytes(used)}${useOf(metrics)}`],
    ['available', bytes(available)],
    ['inodes', count(inodes)],
    ['inodes used', count(inodesUsed)],
    ['inodes free', count(inodesFree)],
    ['condition', condition === undefined ? UNKNOWN : verdict(condition)],
    ...warnings.map((warning): Field => ['warning', warning]),
  ];
}

function useOf({ used, available }: Metrics): string {
  if (used === undefined || available === undefined || used + available === 0n) return '';
  return ` (${percent(used, used + available)})`;
}

function verdict({ abnormal, message, problems = [] }: VolumeCondition): string {
  const listed = problems.map((each) => `${each.status} ${each.reason}: ${each.message}`);
  const words = listed.length > 0 ? listed.join('; ') : message;
  return `${abnormal ? 'abnormal' : 'normal'}${words === '' ? '' : `: ${words}`}`;
}
