import { ChannelCredentials, type experimental } from '@grpc/grpc-js';
import type { Socket } from 'node:net';

type ConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;

/**
 * Credentials of a plain socket with which a channel connects once. A subchannel of grpc-js that has failed tries again after its delay even
 * when its channel was closed meanwhile; what it then connects is kept by nobody and ends with the driver. Besides, it is
 * at the call and not at that delay that a driver which is back should be found.
 */
export class OneConnection extends ChannelCredentials {
  #isUsed = false;
  #socket: Socket | undefined;

  /** Ends the connection, now: a channel that is closed waits for the driver to do its part, and a stopped one never does. */
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
      getCallCredentials: () => plain.getCallCredentials(),
      destroy: () => {
        plain.destroy();
      },
    };
  }
}
