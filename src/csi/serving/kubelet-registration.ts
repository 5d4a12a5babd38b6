import { Server, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { errorText } from '../../errors.js';
import { escapeControls } from '../../escape.js';
import { callListener } from '../../options.js';
import { onAbort } from '../../waiting/abort.js';
import {
  RegistrationService,
  type InfoRequest,
  type PluginInfo,
  type RegistrationServer,
  type RegistrationStatus,
  type RegistrationStatusResponse,
} from '../gen/pluginregistration.js';
import { listenOnSocket, type ListeningSocket } from './listen-on-socket.js';

/** What became of a registration. */
export interface KubeletRegistrationStatus {
  readonly registered: boolean;
  /**
   * Why the driver is not registered, and what to do where that is known; absent if it is. The kubelet tries
   * again by itself, with growing pauses of up to two minutes.
   */
  readonly error?: string;
}

/** Is told each status. */
export type StatusListener = (status: KubeletRegistrationStatus) => void;

/** A driver that is made known to the kubelet. */
export interface KubeletRegistration {
  /** The socket that the kubelet finds: `<registryDir>/<driver>-reg.sock`. */
  readonly socket: string;
  /** What the kubelet said last; undefined before it has. */
  readonly status: KubeletRegistrationStatus | undefined;
  /**
   * Takes the registration back: the kubelet forgets the driver within a second or so. Volumes stay where
   * they are. Never rejects, and twice does no harm.
   */
  close(): Promise<void>;
}

/** How often the socket is checked. */
const CHECK_MS = 2_000;

/** A kubelet finds a socket within a second. */
const SILENCE_MS = 30_000;

/** How long calls in flight have to end when the registration is closed. */
const GRACE_MS = 1_000;

/** How much of the kubelet's text is kept, in UTF-16 units. */
const LONGEST_TEXT = 4_096;

/** The registrar's part: a server that the kubelet asks, on a socket that stays. */
export class ServedRegistration implements KubeletRegistration {
  readonly socket: string;
  readonly #info: PluginInfo;
  readonly #onStatus: StatusListener | undefined;
  #status: KubeletRegistrationStatus | undefined;
  #server: Server | undefined;
  #listening: ListeningSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #silentSinceMs: number | undefined;
  #closing: Promise<void> | undefined;
  #checking: Promise<void> | undefined;
  #stopListening: () => void = () => undefined;

  constructor(socket: string, info: PluginInfo, onStatus: StatusListener | undefined) {
    this.socket = socket;
    this.#info = info;
    this.#onStatus = onStatus;
  }

  get status(): KubeletRegistrationStatus | undefined {
    return this.#status;
  }

  async open(): Promise<void> {
    await this.#listen();
    this.#silentSinceMs = Date.now();
    this.#timer = setInterval(() => {
      this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    }, CHECK_MS);
    this.#timer.unref();
  }

  closeOnAbort(signal: AbortSignal | undefined): void {
    this.#stopListening = onAbort(signal, () => void this.close());
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopListening();
    // It may be about to listen again.
    await this.#checking;
    await this.#stop();
  }

  async #listen(): Promise<void> {
    const server = new Server();
    server.addService(RegistrationService, this.#service());
    // Only the kubelet is to call, and it runs as the same user.
    this.#listening = await listenOnSocket(server, this.socket, { mode: 0o600 });
    this.#server = server;
  }

  async #stop(): Promise<void> {
    const [server, listening] = [this.#server, this.#listening];
    this.#server = undefined;
    // What cannot be removed stays: the next driver replaces it.
    await listening?.close().catch(() => undefined);
    if (server !== undefined) await shutDown(server);
  }

  #service(): RegistrationServer {
    return {
      getInfo: (_: ServerUnaryCall<InfoRequest, PluginInfo>, callback: sendUnaryData<PluginInfo>) => {
        this.#silentSinceMs = undefined;
        callback(null, this.#info);
      },
      notifyRegistrationStatus: (
        { request }: ServerUnaryCall<RegistrationStatus, RegistrationStatusResponse>,
        callback: sendUnaryData<RegistrationStatusResponse>,
      ) => {
        callback(null, {});
        if (request.pluginRegistered) this.#tell({ registered: true });
        else this.#tell({ registered: false, error: withAdvice(request.error) });
      },
    };
  }

  #tell(status: KubeletRegistrationStatus): void {
    this.#status = status;
    void callListener(this.#onStatus, [status]);
  }

  /** Makes the socket again if it is gone, and notices when no kubelet comes. */
  async #check(): Promise<void> {
    try {
      if ((await this.#listening?.isThere()) !== true) {
        await this.#stop();
        if (this.#closing !== undefined) return;
        await this.#listen();
        this.#silentSinceMs = Date.now();
      }
    } catch (error) {
      // The same each time until the reason is gone: said once.
      const text = `the registration's socket is gone, and cannot be made again: ${errorText(error)}`;
      if (this.#status?.error !== text) this.#tell({ registered: false, error: text });
      return;
    }
    if (this.#silentSinceMs === undefined || Date.now() - this.#silentSinceMs < SILENCE_MS) return;
    this.#silentSinceMs = undefined;
    this.#tell({ registered: false, error: noKubelet(this.socket) });
  }
}

function noKubelet(socket: string): string {
  const seconds = String(SILENCE_MS / 1_000);
  return `no kubelet asked on ${socket} for ${seconds} s: is this the folder plugins_registry below the kubelet's --root-dir, mounted from the host?`;
}

/**
 * The kubelet's text, which may say little: an old kubelet's call of NodeGetInfo ends in Node's HTTP/2, and
 * no handler of the driver hears of it.
 */
function withAdvice(error: string): string {
  const text = escapeControls(error.slice(0, LONGEST_TEXT));
  if (text === '') return 'the kubelet gives no reason';
  if (text.includes('PROTOCOL_ERROR')) {
    return `${text} (kubelets before 1.26 send the socket's path as :authority, which Node's HTTP/2 refuses before any handler sees the call: let the driver's server listen with listenOnSocket)`;
  }
  if (/connection refused|no such file or directory/.test(text)) {
    return `${text} (endpoint is the path of the driver's socket as the kubelet sees it, on the host)`;
  }
  return text;
}

async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, GRACE_MS);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
