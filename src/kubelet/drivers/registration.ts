import { errorText } from '../../errors.js';
import { escapeControls } from '../../escape.js';
import { pluginInfo, socketPath } from '../../csi/index.js';

/** A CSI driver that this node has. */
export interface CsiDriver {
  readonly name: string;
  /** Its CSI socket: an absolute path. */
  readonly endpoint: string;
  /** The socket that it registered by; absent for one that was found by the name of its folder. */
  readonly registration?: string;
}

/** CSI allows a domain name of at most 63 characters; Kubernetes takes it in either case. */
export function isDriverName(name: string): boolean {
  return name.length <= 63 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/i.test(name);
}

/** A plugin answers from memory; the next round asks a slow one again. */
const TIMEOUT_MS = 5_000;

/**
 * Asks a registration socket what it is. Never rejects.
 *
 * @returns the driver; nothing for a plugin that is no CSI driver; or, as a text for people, what is wrong
 * with the answer
 */
export async function askRegistration(
  socket: string,
): Promise<{ readonly driver?: CsiDriver; readonly problem?: string }> {
  const wrong = (text: string): { readonly problem: string } => ({
    problem: `the registration socket ${escapeControls(socket)} ${text}`,
  });
  try {
    const { type, name, endpoint, supportedVersions } = await pluginInfo(socket, { timeoutMs: TIMEOUT_MS });
    if (type !== 'CSIPlugin') {
      // The kubelet's other kinds of plugins.
      if (type === 'DevicePlugin' || type === 'DRAPlugin') return {};
      return wrong(`gave an unknown type of plugin: ${shorten(type)}`);
    }
    if (!isDriverName(name)) return wrong(`gave a name that no CSI driver may have: ${shorten(name)}`);
    if (!supportedVersions.some((version) => /^v?1\./.test(version))) {
      return wrong(`of ${name} offers no version 1 of CSI, only ${shorten(supportedVersions.join(', '))}`);
    }
    try {
      return {
        driver: { name, endpoint: socketPath(endpoint === '' ? socket : endpoint), registration: socket },
      };
    } catch (error) {
      return wrong(`of ${name} gave an endpoint that cannot be used: ${shorten(errorText(error), 300)}`);
    }
  } catch (error) {
    return wrong(`gave no answer that can be used: ${shorten(errorText(error), 300)}`);
  }
}

function shorten(text: string, most = 80): string {
  const shown = escapeControls(text.slice(0, most));
  return text.length > most ? `${shown}... (${String(text.length)} characters)` : JSON.stringify(shown);
}
