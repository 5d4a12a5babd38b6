import { checkedMs, checkedOptions, checkedSignal } from '../../options.js';
import { Deadline } from '../../waiting/deadline.js';
import { RegistrationService, type PluginInfo } from '../gen/pluginregistration.js';
import { socketPath } from '../messages/socket-path.js';
import type { CsiCallOptions } from './csi-node-client.js';
import { DriverConnection } from './driver-connection.js';

export type { PluginInfo };

/** A plugin answers from memory. The kubelet waits as long (kubernetes pkg/kubelet/pluginmanager). */
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Asks a plugin what it is, as the kubelet does when it finds a socket in `plugins_registry`. It only reads:
 * the plugin is not told that it was registered.
 *
 * @param socket - the plugin's registration socket, in a form that {@link socketPath} takes
 * @returns the plugin's own words, unchecked: its type, name, the endpoint of its own API, versions
 * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT after 10 s unless `timeoutMs` says otherwise;
 * TypeError for an invalid socket or option
 */
export async function pluginInfo(socket: string, options: CsiCallOptions = {}): Promise<PluginInfo> {
  const { signal, timeoutMs } = checkedOptions(options, ['signal', 'timeoutMs']);
  const limits = {
    deadline: new Deadline(checkedMs('timeoutMs', timeoutMs, DEFAULT_TIMEOUT_MS)),
    signal: checkedSignal(signal),
  };
  const connection = new DriverConnection(socketPath(socket), () => undefined);
  try {
    return await connection.use({ rpc: 'GetInfo' }, limits, (each) =>
      each.call(RegistrationService.getInfo, {}, limits),
    );
  } finally {
    connection.close();
  }
}
