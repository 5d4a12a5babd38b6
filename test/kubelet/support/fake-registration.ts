import { Server, ServerCredentials } from '@grpc/grpc-js';
import { rmSync } from 'node:fs';
import { RegistrationService, type PluginInfo } from '../../../src/csi/gen/pluginregistration.js';

/** A registration socket that answers GetInfo. */
export class FakeRegistration {
  calls = 0;
  readonly #server = new Server();
  readonly #path: string;

  private constructor(path: string, answer: () => PluginInfo | undefined) {
    this.#path = path;
    this.#server.addService(RegistrationService, {
      getInfo: (_: unknown, callback: (error: null, info: PluginInfo) => void) => {
        this.calls += 1;
        const info = answer();
        if (info !== undefined) callback(null, info);
      },
      notifyRegistrationStatus: (_: unknown, callback: (error: null, answer: object) => void) => {
        callback(null, {});
      },
    });
  }

  /** @param info - what it answers: the rest is as a CSI driver says it; nothing at all if it is undefined */
  static async start(path: string, info: Partial<PluginInfo> | undefined): Promise<FakeRegistration> {
    const whole = { type: 'CSIPlugin', name: '', endpoint: '', supportedVersions: ['1.0.0'], ...info };
    const fake = new FakeRegistration(path, () => (info === undefined ? undefined : whole));
    await new Promise<void>((resolve, reject) => {
      fake.#server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    return fake;
  }

  /** Ends it; the socket goes. */
  async stop(): Promise<void> {
    this.#server.forceShutdown();
    rmSync(this.#path, { force: true });
    await Promise.resolve();
  }
}
