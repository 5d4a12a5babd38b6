import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeAuthority } from './certificates.js';
import type { FakeUser } from './fake-users.js';

/** A temporary directory with what a fake's clients need. */
export class FakeFiles {
  readonly directory: string;
  /** Signs the certificates of clients. */
  readonly clientAuthority = new FakeAuthority('fake-client-ca');
  #made = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(prefix: string): Promise<FakeFiles> {
    return new FakeFiles(await mkdtemp(join(tmpdir(), prefix)));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** @returns the file's path */
  async write(name: string, text: string): Promise<string> {
    const file = this.path(name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  }

  async token(token: string): Promise<string> {
    return await this.write(`token-${this.#next()}`, token);
  }

  async clientCertificate(
    user: FakeUser,
    isTrusted: boolean,
  ): Promise<{ certFile: string; keyFile: string }> {
    const authority = isTrusted ? this.clientAuthority : new FakeAuthority('another-ca');
    const issued = authority.issue({ commonName: user.name, organizations: user.groups ?? [] });
    const name = `client-${this.#next()}`;
    return {
      certFile: await this.write(`${name}.crt`, issued.certificate),
      keyFile: await this.write(`${name}.key`, issued.key),
    };
  }

  /** A kubeconfig with one context, for a user with a token or a client certificate. */
  async kubeconfig(
    server: string,
    credentials: { readonly token: string } | { readonly user: FakeUser },
  ): Promise<string> {
    const files = 'user' in credentials ? await this.clientCertificate(credentials.user, true) : undefined;
    const user =
      files === undefined
        ? credentials
        : { 'client-certificate': files.certFile, 'client-key': files.keyFile };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'fake', cluster: { server, 'certificate-authority': this.path('ca.crt') } }],
      users: [{ name: 'fake', user }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
      'current-context': 'fake',
    };
    // JSON is YAML too.
    return await this.write(`kubeconfig-${this.#next()}`, JSON.stringify(config));
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  #next(): string {
    this.#made += 1;
    return String(this.#made);
  }
}
