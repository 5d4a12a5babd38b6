import type { Metrics, VolumeCondition } from '../../index.js';
import { BYTES, textOption, type CliCommand } from '../command.js';
import {
  CSI_OPTIONS,
  CsiSession,
  failed,
  problemText,
  SOCKET,
  told,
  type CsiOptions,
  type Field,
} from '../csi-session.js';
import { measure, type Row } from '../measure.js';
import { byteCount, count, percent, UNKNOWN } from '../output/table.js';
import { styleOfState } from '../output/volumes.js';

interface Options extends CsiOptions {
  readonly volumeId: string;
  readonly path: string;
  readonly stagingPath?: string;
}

export const CSI_STATS: CliCommand<Options> = {
  group: 'csi',
  name: 'stats',
  summary: 'what a CSI driver says about one volume',
  description: 'Asks a CSI driver for the size, use and condition of one volume, as the kubelet does.',
  operand: SOCKET,
  options: [
    textOption(
      '--volume-id <ID>',
      "the driver's id of the volume: spec.csi.volumeHandle of its PersistentVolume",
    ).makeOptionMandatory(),
    textOption(
      '--path <PATH>',
      'where the volume is published or staged, as the driver sees it',
    ).makeOptionMandatory(),
    textOption('--staging-path <PATH>', 'where the volume is staged; some drivers need to know'),
    BYTES,
    ...CSI_OPTIONS,
  ],
  incomplete: 'the driver did not answer, or has no numbers',
  examples: ['/csi/csi.sock --volume-id pvc-1 --path /mnt/pvc-1'],
  run: async (operands, options, signal) => {
    const { volumeId, path: volumePath, stagingPath: stagingTargetPath } = options;
    const session = await CsiSession.open(operands, options, signal);
    const { MetricsCsi } = await import('../../csi/index.js');
    const { client } = session;
    const volume = { volumeId, volumePath, ...(stagingTargetPath !== undefined && { stagingTargetPath }) };
    // Both are asked at once, each with the whole time: a driver that does not say its name may still have
    // numbers.
    const asked = session.ask((limits) => client.getPluginInfo(limits));
    const time = new Date();
    const answer = client.readVolume(volume, { signal });
    const [identity] = await Promise.all([asked, answer.catch(() => undefined)]);
    const { name, vendorVersion: version } = identity.answer ?? { name: '', vendorVersion: '' };
    const named = name === '' ? {} : { driverName: name };
    const reader = new MetricsCsi({ client: { readVolume: () => answer }, ...volume, ...named });
    const provider = {
      name: reader.name,
      getMetrics: async () => ({ ...(await reader.getMetrics({ signal })), time }),
    };
    const rows = (await measure([{ path: volumePath, provider }], signal)).map(withoutNumbers);
    client.close();
    return session.answer(
      'csi stats',
      {
        driver: identity.answer && { name, version },
        volumes: rows.map((row) => ({ volumeId, ...row })),
        errors: identity.failure === undefined ? [] : [identity.failure],
      },
      [
        ...told('driver', identity, (answer) => `${answer.name} ${answer.vendorVersion}`),
        { name: 'volume', value: `${volumeId} at ${volumePath}` },
        ...rows.flatMap((row) => fieldsOf(row, options.bytes === true)),
      ],
      rows.every(({ state }) => state === 'ok'),
    );
  },
};

const NO_NUMBERS = {
  code: 'METRICS_CSI_FAILED',
  message: 'the driver answered without a number: it sent none, or only zeros',
  hint: 'Only the driver can change that. The kubelet shows 0, or nothing if the answer has no usage at all.',
  docs: 'docs/csi.md#what-becomes-of-an-answer',
} as const;

/** A reading without any number is a failure: the driver has not said what it was asked for. */
function withoutNumbers(row: Row): Row {
  const { state, metrics } = row;
  if (state !== 'ok' || metrics === undefined) return row;
  const { capacity, available, used, inodes, inodesFree, inodesUsed } = metrics;
  const numbers = [capacity, available, used, inodes, inodesFree, inodesUsed];
  return numbers.some((each) => each !== undefined) ? row : { ...row, state: 'failed', error: NO_NUMBERS };
}

function fieldsOf({ state, metrics, error }: Row, exact: boolean): Field[] {
  const isReadOnly = metrics?.readOnly === true;
  const shown = isReadOnly ? `${state}, read-only` : state;
  const fields: Field[] = [{ name: 'state', value: shown, style: styleOfState(shown) }];
  if (error !== undefined) fields.push(...failed('reason', error));
  if (metrics === undefined) return fields;
  const { capacity, available, used, inodes, inodesFree, inodesUsed, condition, warnings = [] } = metrics;
  return [
    ...fields,
    { name: 'capacity', value: byteCount(capacity, exact) },
    { name: 'used', value: `${byteCount(used, exact)}${useOf(metrics)}` },
    { name: 'available', value: byteCount(available, exact) },
    { name: 'inodes', value: count(inodes) },
    { name: 'inodes used', value: count(inodesUsed) },
    { name: 'inodes free', value: count(inodesFree) },
    condition === undefined
      ? { name: 'condition', value: UNKNOWN }
      : { name: 'condition', value: verdict(condition), style: condition.abnormal ? 'red' : 'green' },
    ...warnings.map((value): Field => ({ name: 'warning', value, style: 'yellow' })),
  ];
}

function useOf({ used, available }: Metrics): string {
  if (used === undefined || available === undefined || used + available === 0n) return '';
  return ` (${percent(used, used + available)})`;
}

function verdict({ abnormal, message, problems = [] }: VolumeCondition): string {
  const words = problems.length > 0 ? problems.map(problemText).join('; ') : message;
  return `${abnormal ? 'abnormal' : 'normal'}${words === '' ? '' : `: ${words}`}`;
}
