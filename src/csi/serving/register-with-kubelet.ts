import { posix } from 'node:path';
import { errorText } from '../../errors.js';
import { checkedFunction, checkedOptions, checkedSignal, checkedText, show } from '../../options.js';
import { throwIfAborted } from '../../waiting/abort.js';
import type { PluginInfo } from '../gen/pluginregistration.js';
import { socketPath } from '../messages/socket-path.js';
import { ServedRegistration, type KubeletRegistration, type StatusListener } from './kubelet-registration.js';

/** Options of {@link registerWithKubelet}. */
export interface RegisterWithKubeletOptions {
  /** The driver's name, as its GetPluginInfo and the CSIDriver object say it. */
  readonly driver: string;
  /**
   * Where the driver listens, **as the kubelet sees it**: for a driver in a pod the path on the host, such as
   * `/var/lib/kubelet/plugins/<driver>/csi.sock`, as `/abs`, `unix:/abs` or `unix:///abs`.
   */
  readonly endpoint: string;
  /**
   * The kubelet's folder for registrations, as this process sees it.
   *
   * @defaultValue `'/var/lib/kubelet/plugins_registry'`
   */
  readonly registryDir?: string;
  /**
   * The versions of CSI that the driver speaks.
   *
   * @defaultValue `['1.0.0']`, which every kubelet takes for any 1.x
   */
  readonly versions?: readonly string[];
  /**
   * Called with each answer of the kubelet, again after the kubelet was restarted; when no kubelet asks for
   * half a minute; and when the socket cannot be made again.
   */
  readonly onStatus?: StatusListener;
  /** Takes the registration back when it is aborted. */
  readonly signal?: AbortSignal;
}

const OPTIONS = ['driver', 'endpoint', 'registryDir', 'versions', 'onStatus', 'signal'] as const;

const DEFAULT_REGISTRY = '/var/lib/kubelet/plugins_registry';

/** The value of PluginInfo's `type` for a CSI driver. */
const CSI_PLUGIN = 'CSIPlugin';

/**
 * Makes a CSI driver known to the kubelet from inside the driver's process: what the sidecar
 * node-driver-registrar does for others. Call it once the driver answers NodeGetInfo.
 *
 * It serves the kubelet's plugin registration on a socket in `registryDir`. The kubelet finds the socket,
 * asks who is there, calls the driver's NodeGetInfo, and says what became of it. It finds the socket again
 * after its own restart. A socket that a killed driver left behind is replaced; if the file is removed while
 * the driver lives, it is made again.
 *
 * Up to Kubernetes 1.25 the kubelet cannot call a server of Node that was bound with `bindAsync`:
 * `listenOnSocket` serves it, and without it `onStatus` says so.
 *
 * @param options - the driver, and where the kubelet looks
 * @returns the registration, once the kubelet can find it
 * @throws TypeError for an invalid or unknown option; the signal's reason if it is aborted before that; Error
 * with a `code`: EADDRINUSE if another process is registered under this name, ENOENT if there is no
 * `registryDir`, and EACCES if this process may not write to it
 */
export async function registerWithKubelet(options: RegisterWithKubeletOptions): Promise<KubeletRegistration> {
  const {
    driver,
    endpoint,
    registryDir = DEFAULT_REGISTRY,
    versions = ['1.0.0'],
  } = checkedOptions(options, OPTIONS);
  const onStatus = checkedFunction('onStatus', options.onStatus);
  const signal = checkedSignal(options.signal);
  const info: PluginInfo = {
    type: CSI_PLUGIN,
    name: checkedDriver(driver),
    endpoint: socketPath(endpoint),
    supportedVersions: checkedVersions(versions),
  };
  const socket = registrationSocket(registryDir, driver);
  throwIfAborted(signal);
  const registration = new ServedRegistration(socket, info, onStatus);
  await registration.open();
  if (signal?.aborted) await registration.close();
  throwIfAborted(signal);
  registration.closeOnAbort(signal);
  return registration;
}

/** Any other makes the kubelet refuse the driver. */
const VERSION = /^v?\d+(\.\d+)+$/;

/** What the API server takes for a driver's name, in either case: kubernetes, ValidateCSIDriverName. */
const DRIVER_NAME = /^(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** The name becomes a file's name too. */
function checkedDriver(driver: string): string {
  checkedText('driver', driver);
  if (DRIVER_NAME.test(driver)) return driver;
  throw new TypeError(
    `Expected driver to be a name in domain notation of at most 63 characters, such as hostpath.csi.example, got ${show(driver)}`,
  );
}

function checkedVersions(versions: readonly string[]): string[] {
  const given: readonly unknown[] = Array.isArray(versions) ? versions : [];
  const checked = given.filter((each) => typeof each === 'string' && VERSION.test(each)) as string[];
  if (checked.length > 0 && checked.length === given.length) return checked;
  const shown = Array.isArray(versions) ? `[${given.map(show).join(', ')}]` : show(versions);
  throw new TypeError(`Expected versions to be a list of versions such as ['1.0.0'], got ${shown}`);
}

function registrationSocket(registryDir: string, driver: string): string {
  checkedText('registryDir', registryDir);
  if (!posix.isAbsolute(registryDir)) {
    throw new TypeError(`Expected registryDir to be an absolute path, got ${show(registryDir)}`);
  }
  const path = posix.join(registryDir, `${driver}-reg.sock`);
  try {
    return socketPath(path);
  } catch (error) {
    throw new TypeError(`registryDir cannot hold the socket of ${driver}: ${errorText(error)}`, {
      cause: error,
    });
  }
}
