import { Server } from '@grpc/grpc-js';
import {
  listenOnSocket,
  registerWithKubelet,
  socketPath,
  type KubeletRegistration,
} from 'kube-volume-metrics/csi';
import { ControllerService, IdentityService, NodeService } from 'kube-volume-metrics/csi/v1';
import { hostname } from 'node:os';
import { isAbsolute } from 'node:path';
import { controllerService } from './controller.js';
import { identityService } from './identity.js';
import { escapedLines, type Log } from './log.js';
import { mayMount } from './may-mount.js';
import { nodeService } from './node.js';
import { placeByMount } from './place-by-mount.js';
import { placeBySymlink } from './place-by-symlink.js';
import { unaryHandlers } from './unary.js';
import { VolumeChanges } from './volume-changes.js';
import { VolumeStore } from './volume-store.js';

/** Options of {@link startDriver}. */
export interface DriverOptions {
  /** Where it listens: the absolute path of a unix socket, as `/abs`, `unix:/abs` or `unix:///abs`. */
  readonly endpoint: string;
  /** Where the volumes are kept: an absolute path on a local disk. It is made when it is not there. */
  readonly dataRoot: string;
  /**
   * The driver's name: a domain name of at most 63 characters that begins and ends with a letter.
   *
   * @defaultValue `'hostpath.kube-volume-metrics.example'`
   */
  readonly name?: string | undefined;
  /**
   * The node's name, of at most 256 bytes.
   *
   * @defaultValue the host's
   */
  readonly nodeId?: string | undefined;
  /**
   * How volumes come to where the orchestrator wants them: as bind mounts, or as symlinks by a driver that
   * may not mount.
   *
   * @defaultValue what the process may do
   */
  readonly placeBy?: 'mount' | 'symlink' | undefined;
  /**
   * Whether it advertises GET_VOLUME_HEALTH and GET_STORAGE_HEALTH, of CSI 1.13. csi-sanity up to 5.5.0
   * refuses a driver that does.
   *
   * @defaultValue `true`
   */
  readonly health?: boolean | undefined;
  /**
   * The kubelet's folder `plugins_registry`, to make the driver known to the kubelet.
   *
   * @defaultValue the driver is not registered
   */
  readonly kubeletRegistry?: string | undefined;
  /**
   * The path of the driver's socket as the kubelet sees it, if that differs: in a pod, the path on the host.
   *
   * @defaultValue `endpoint`
   */
  readonly kubeletEndpoint?: string | undefined;
  /**
   * Milliseconds that an answer may take at most.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /** Gets a line for each change and each failure; never a secret. */
  readonly log?: Log | undefined;
}

/** A driver that listens. */
export interface RunningDriver {
  /** Its socket. */
  readonly socket: string;
  readonly placeBy: 'mount' | 'symlink';
  /** Ends it: the socket goes, calls in flight are answered, and volumes stay where they are. */
  close(): Promise<void>;
}

const DEFAULT_NAME = 'hostpath.kube-volume-metrics.example';
const DEFAULT_TIMEOUT_MS = 10_000;

/** Calls in flight have their own limit, so this much more is enough for all. */
const GRACE_MS = 1_000;

/**
 * Starts the driver in this process.
 *
 * @throws TypeError for an invalid option; Error if the socket or the data root cannot be used
 */
export async function startDriver(options: DriverOptions): Promise<RunningDriver> {
  const { dataRoot, name = DEFAULT_NAME, nodeId = hostname(), health = true } = options;
  const { timeoutMs = DEFAULT_TIMEOUT_MS, placeBy = mayMount() ? 'mount' : 'symlink' } = options;
  const socket = socketPath(options.endpoint);
  if (!isAbsolute(dataRoot)) throw new TypeError(`Expected dataRoot to be an absolute path, got ${dataRoot}`);
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,61}[A-Za-z]$/.test(name)) {
    throw new TypeError(`Expected name to be a domain name of at most 63 characters, got ${name}`);
  }
  if (nodeId === '' || Buffer.byteLength(nodeId) > 256) {
    throw new TypeError('Expected nodeId to have between 1 and 256 bytes');
  }

  const log = escapedLines(options.log ?? (() => undefined));
  const placement = placeBy === 'mount' ? placeByMount : placeBySymlink;
  const volumes = await VolumeStore.open(dataRoot, log);
  const changes = new VolumeChanges();
  const unary = unaryHandlers(log, timeoutMs);
  const server = new Server();
  server.addService(IdentityService, identityService({ name, dataRoot }, unary));
  server.addService(ControllerService, controllerService({ volumes, changes, placement }, unary));
  server.addService(
    NodeService,
    nodeService({ volumes, changes, placement, nodeId, dataRoot, health, timeoutMs, log }, unary),
  );
  const listening = await listenOnSocket(server, socket);
  // Not before: as long as another driver listens there, it works on the data root.
  await volumes.removeLeftovers();
  log(`${name} listens on ${socket}; ${String(volumes.size)} volumes in ${dataRoot}, placed by ${placeBy}`);

  let registration: KubeletRegistration | undefined;
  const end = async (): Promise<void> => {
    await registration?.close();
    await listening.close();
    await shutDown(server, timeoutMs + GRACE_MS);
  };
  const { kubeletRegistry, kubeletEndpoint = socket } = options;
  if (kubeletRegistry !== undefined) {
    try {
      registration = await registerWithKubelet({
        driver: name,
        endpoint: kubeletEndpoint,
        registryDir: kubeletRegistry,
        onStatus: ({ error }) => {
          log(
            error === undefined ? 'registered with the kubelet' : `not registered with the kubelet: ${error}`,
          );
        },
      });
    } catch (error) {
      await end();
      throw error;
    }
    log(`waits for the kubelet at ${registration.socket}`);
  }

  let closing: Promise<void> | undefined;
  return { socket, placeBy, close: () => (closing ??= end()) };
}

/** Lets the calls in flight end; those that have not after the given time are cancelled. */
async function shutDown(server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
