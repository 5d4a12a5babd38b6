import { status } from '@grpc/grpc-js';
import { fsInfo } from 'kube-volume-metrics';
import { PluginCapability_Service_Type, type IdentityServer } from 'kube-volume-metrics/csi/v1';
import { CsiError } from './csi-error.js';
import type { Unary } from './unary.js';

const VERSION = '1.0.0';

/** What the identity service is made of. */
export interface IdentityParts {
  /** The driver's name: a domain name of at most 63 characters. */
  readonly name: string;
  readonly dataRoot: string;
}

/** Who the driver is, what it offers beside its node service, and whether it is healthy. */
export function identityService({ name, dataRoot }: IdentityParts, unary: Unary): IdentityServer {
  return {
    getPluginInfo: unary(() => ({ name, vendorVersion: VERSION, manifest: {} })),

    getPluginCapabilities: unary(() => ({
      capabilities: [{ service: { type: PluginCapability_Service_Type.CONTROLLER_SERVICE } }],
    })),

    probe: unary(async (_, deadlineMs) => {
      try {
        await fsInfo(dataRoot, { timeoutMs: Math.max(1, deadlineMs - Date.now()) });
      } catch {
        throw new CsiError(status.FAILED_PRECONDITION, 'the data root cannot be read');
      }
      return { ready: true };
    }),
  };
}
