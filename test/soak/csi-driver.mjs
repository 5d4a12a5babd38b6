// @ts-check
// A CSI driver in its own process, to be killed: `node csi-driver.mjs SOCKET` prints a line when it listens,
// and ends with its standard input. It shares no code with the package: it reads the protocol from csi.proto
// through proto-loader, as drivers in JavaScript do.
import { loadPackageDefinition, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { csiNumbers, csiVolume } from './csi-numbers.mjs';

const socket = process.argv[2] ?? '';
const proto = join(import.meta.dirname, '../../proto');
const { csi } = /** @type {any} */ (
  loadPackageDefinition(loadSync('csi/v1/csi.proto', { longs: String, enums: String, includeDirs: [proto] }))
);

const server = new Server();
server.addService(csi.v1.Node.service, {
  nodeGetCapabilities: (
    /** @type {unknown} */ _call,
    /** @type {(error: null, answer: object) => void} */ answer,
  ) => {
    answer(null, { capabilities: [{ rpc: { type: 'GET_VOLUME_STATS' } }] });
  },
  nodeGetVolumeStats,
});
rmSync(socket, { force: true });
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write('listening\n');
});
process.stdin.resume().on('end', () => process.exit());

/**
 * @param {{ request: { volumeId: string, volumePath: string } }} call
 * @param {(error: { code: number, message: string } | null, answer?: object) => void} answer
 */
function nodeGetVolumeStats({ request: { volumeId, volumePath } }, answer) {
  const number = Number(volumeId.replace(/^volume-/, ''));
  // An id with the path of another volume is the client's mistake, and a volume that says so is a finding.
  if (!Number.isInteger(number) || csiVolume(number).volumePath !== volumePath) {
    answer({ code: status.INVALID_ARGUMENT, message: `no volume ${volumeId} at ${volumePath}` });
    return;
  }
  const { capacity, available, used, inodes, inodesFree, inodesUsed } = csiNumbers(number);
  answer(null, {
    usage: [
      { unit: 'BYTES', total: String(capacity), available: String(available), used: String(used) },
      { unit: 'INODES', total: String(inodes), available: String(inodesFree), used: String(inodesUsed) },
    ],
  });
}
