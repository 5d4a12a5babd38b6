import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** What a worker node shows the API server. Its own kubelet refuses it, and says so. */
export interface NodeCredentials {
  /** The node, as its certificate has it. */
  readonly nodeName: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** The cluster's authority, if the kubeconfig names a file of it. */
  readonly caFile?: string;
}

/**
 * The client certificate that a node's kubeconfig names. Such files are written by installers: each of the
 * keys is there once.
 *
 * @returns undefined unless the certificate can be read and is that of a node
 */
export function nodeCredentials(kubeconfig: string): NodeCredentials | undefined {
  try {
    const text = readFileSync(kubeconfig, 'utf8');
    const fileOf = (key: string): string | undefined => {
      const [, found] = new RegExp(`^[\\s-]*"?${key}"?:\\s*["']?([^"',\\s]+)`, 'm').exec(text) ?? [];
      return found === undefined ? undefined : resolve(dirname(kubeconfig), found);
    };
    const certFile = fileOf('client-certificate');
    if (certFile === undefined) return undefined;
    const { subject } = new X509Certificate(readFileSync(certFile));
    const [, nodeName] = /^CN=system:node:(\S+)$/m.exec(subject) ?? [];
    if (nodeName === undefined) return undefined;
    const caFile = fileOf('certificate-authority');
    const keyFile = fileOf('client-key') ?? certFile;
    return { nodeName, certFile, keyFile, ...(caFile !== undefined && { caFile }) };
  } catch {
    // It cannot be read, or is no certificate: then there are no such credentials.
    return undefined;
  }
}
