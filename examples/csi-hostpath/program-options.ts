import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DriverOptions } from './driver.js';

export const USAGE = `Usage: CSI_ENDPOINT=unix:///path/csi.sock npm run example:csi-hostpath -- [options]

  --endpoint E      where to listen, instead of CSI_ENDPOINT
  --data-root DIR   where the volumes are kept (HOSTPATH_DATA_ROOT; ${defaultDataRoot()})
  --node-id ID      the node's name (HOSTPATH_NODE_ID; the host's)
  --driver-name N   the driver's name
  --place-by HOW    mount or symlink; by default what the process may do
  --no-health       do not advertise the health of CSI 1.13
  --kubelet-registry DIR   register with the kubelet: its folder plugins_registry
  --kubelet-endpoint PATH  the socket as the kubelet sees it, in a pod the path on the host
  --help            this text
`;

/**
 * What the program was told by its arguments and its environment; undefined when it was asked for help.
 * Variables that begin with `CSI_` are the specification's.
 *
 * @throws TypeError for arguments that are none
 */
export function programOptions(args: readonly string[], env: NodeJS.ProcessEnv): DriverOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      endpoint: { type: 'string' },
      'data-root': { type: 'string' },
      'node-id': { type: 'string' },
      'driver-name': { type: 'string' },
      'place-by': { type: 'string' },
      'no-health': { type: 'boolean' },
      'kubelet-registry': { type: 'string' },
      'kubelet-endpoint': { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  const endpoint = values.endpoint ?? env['CSI_ENDPOINT'];
  if (endpoint === undefined) throw new TypeError('CSI_ENDPOINT is not set: where shall the driver listen?');
  const placeBy = values['place-by'];
  if (placeBy !== undefined && placeBy !== 'mount' && placeBy !== 'symlink') {
    throw new TypeError(`--place-by is mount or symlink, not ${placeBy}`);
  }
  return {
    endpoint,
    dataRoot: values['data-root'] ?? env['HOSTPATH_DATA_ROOT'] ?? defaultDataRoot(),
    nodeId: values['node-id'] ?? env['HOSTPATH_NODE_ID'],
    name: values['driver-name'],
    placeBy,
    health: values['no-health'] !== true,
    kubeletRegistry: values['kubelet-registry'],
    kubeletEndpoint: values['kubelet-endpoint'],
  };
}

function defaultDataRoot(): string {
  return process.getuid?.() === 0 ? '/var/lib/csi-hostpath' : join(homedir(), '.local/state/csi-hostpath');
}
