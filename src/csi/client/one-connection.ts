import { ChannelCredentials, type experimental } from '@grpc/grpc-js';
import type { Socket } from 'node:net';

type ConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;

/**
 * Credentials of a plain socket that let a channel connect only once.
 *
 * A subchannel of grpc-js that failed connects again after its delay, even if its channel was closed in the
 * meantime. Nothing closes that connection until the driver ends. It also means that a driver that is back is
 * found only after the delay; the client makes a new connection at the next call instead.
 */
export class OneConnection extends ChannelCredentials {
  #isUsed = false;
  #socket: Socket | undefined;

  /** Whether the socket has taken the connection. */
  get isConnected(): boolean {
    return this.#socket !== undefined;
  }

  /**
   * Ends the connection at once. A closed channel waits for the driver to close its side, and a stopped
   * driver never does.
   */
  end(): void {
    this.#isUsed = true;
    this.#socket?.destroy();
  }

  override _isSecure(): boolean {
    return false;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(...args: ConnectorArguments): experimental.SecureConnector {
    const plain = ChannelCredentials.createInsecure()._createSecureConnector(...args);
    return {
      waitForReady: async () => {
        if (this.#isUsed) throw new Error('the connection is lost');
        this.#isUsed = true;
        await plain.waitForReady();
      },
      connect: async (socket) => {
        this.#socket = socket;
        return await plain.connect(socket);
      },
      getCallCredentials: plain.getCallCredentials.bind(plain),
      destroy: plain.destroy.bind(plain),
    };
  }
}
