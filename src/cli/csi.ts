import { parseArgs } from 'node:util';
import { csiProbe } from './csi-probe.js';
import type { CsiRequest } from './csi-session.js';
import { csiStats } from './csi-stats.js';
import { parseDuration } from './duration.js';
import { PROGRAM } from './help.js';
import { interruptSignal } from './interrupt.js';
import { print } from './output.js';
import { UsageError } from './usage-error.js';

const HELP = `Usage: ${PROGRAM} csi stats --endpoint SOCKET --volume-id ID --path PATH [OPTION]...
       ${PROGRAM} csi probe --endpoint SOCKET [OPTION]...

stats  asks a CSI driver for the numbers and the condition of one volume, as the kubelet does
probe  asks it who it is, whether it is ready and what it can do, and says whether there can be numbers at all

Options:
  --endpoint SOCKET    /csi/csi.sock or unix:///csi/csi.sock; by default CSI_ENDPOINT of the environment
  --volume-id ID       the volume's id in the driver: volumeHandle of its PersistentVolume
  --path PATH          where it is published or staged, as the driver sees it
  --staging-path PATH  where it is staged; some drivers need to know
  --bytes              exact bytes
  --json               JSON with exact numbers
  --timeout TIME       give up a driver that has not answered by then: 30s (the default), 200ms, 2m
  -h, --help           this text

Exit codes:
  0  the driver answered
  1  it did not, is not ready (probe), or has no numbers (stats)
  2  the command line is wrong

Example:
  ${PROGRAM} csi probe --endpoint /var/lib/kubelet/plugins/hostpath.csi.k8s.io/csi.sock
`;

const OPTIONS = {
  endpoint: { type: 'string' },
  'volume-id': { type: 'string' },
  path: { type: 'string' },
  'staging-path': { type: 'string' },
  bytes: { type: 'boolean' },
  json: { type: 'boolean' },
  timeout: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = ReturnType<typeof parse>['values'];

/** Shorter than the kubelet's two minutes: somebody waits. */
const DEFAULT_TIMEOUT = '30s';

/**
 * Does what the arguments after `csi` say.
 *
 * @returns whether the driver answered
 * @throws UsageError
 */
export async function runCsi(args: readonly string[]): Promise<boolean> {
  const { values, positionals } = parse(args);
  if (values.help) {
    await print(HELP);
    return true;
  }
  const [name, operand] = positionals;
  if (name !== 'stats' && name !== 'probe') {
    throw new UsageError(`csi expects stats or probe${name === undefined ? '' : `, got '${name}'`}`);
  }
  if (operand !== undefined) throw new UsageError(`csi ${name} expects no operand, got '${operand}'`);
  try {
    if (name === 'stats') return await csiStats(requestOf(values), volumeOf(values), values.bytes === true);
    const strange = (['volume-id', 'path', 'staging-path', 'bytes'] as const).find((each) => each in values);
    if (strange !== undefined) throw new UsageError(`csi probe has no option --${strange}`);
    return await csiProbe(requestOf(values));
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // Node's texts may have several lines.
    throw new UsageError((error as Error).message.replaceAll('\n', ' '));
  }
}

function requestOf({ endpoint = process.env['CSI_ENDPOINT'], timeout, json = false }: Values): CsiRequest {
  if (endpoint === undefined) throw new UsageError('csi expects --endpoint');
  const timeoutMs = parseDuration('--timeout', timeout ?? DEFAULT_TIMEOUT);
  return { endpoint, timeoutMs, json, signal: interruptSignal() };
}

function volumeOf(values: Values): { volumeId: string; volumePath: string; stagingTargetPath?: string } {
  const { 'volume-id': volumeId, path: volumePath, 'staging-path': stagingTargetPath } = values;
  if (volumeId === undefined) throw new UsageError('csi stats expects --volume-id');
  if (volumePath === undefined) throw new UsageError('csi stats expects --path');
  return { volumeId, volumePath, ...(stagingTargetPath !== undefined && { stagingTargetPath }) };
}
