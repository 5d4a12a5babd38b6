import { credentials, type ServiceError } from '@grpc/grpc-js';
import {
  RegistrationClient,
  type PluginInfo,
  type RegistrationStatus,
} from '../../../src/csi/gen/pluginregistration.js';

/** What the kubelet does with a socket that it finds: a connection for each try. */
export class PluginWatcher {
  readonly #socket: string;
  readonly #authority: string;

  /** @param authority - before 1.29 the kubelet sends the socket's path */
  constructor(socket: string, authority = 'localhost') {
    this.#socket = socket;
    this.#authority = authority;
  }

  async getInfo(): Promise<PluginInfo> {
    return await this.#with((client, done) => client.getInfo({}, done));
  }

  async notify(status: RegistrationStatus): Promise<void> {
    await this.#with((client, done) => client.notifyRegistrationStatus(status, done));
  }

  async #with<T>(
    call: (client: RegistrationClient, done: (error: ServiceError | null, response: T) => void) => unknown,
  ): Promise<T> {
    const options = { 'grpc.default_authority': this.#authority };
    const client = new RegistrationClient(`unix:${this.#socket}`, credentials.createInsecure(), options);
    try {
      return await new Promise((resolve, reject) => {
        call(client, (error, response) => {
          if (error === null) resolve(response);
          else reject(error);
        });
      });
    } finally {
      client.close();
    }
  }
}
