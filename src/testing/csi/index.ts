// For tests of a CSI driver.
export { CsiTestClient } from './csi-test-client.js';
export type { CsiRequest, CsiResponse, CsiRpc, CsiTestClientOptions } from './csi-test-client.js';

// For tests of code that talks to a CSI driver.
export { FakeCsiDriver } from './fake-csi-driver.js';
export type { FakeCsiAnswerer, FakeCsiDriverOptions, FakeCsiMode } from './fake-csi-driver.js';
export type { FakeCsiScript, FakeCsiUsage } from './fake-csi-script.js';
export type { FakeCsiAnswer, FakeCsiRequest, FakeCsiResponse, FakeCsiRpc } from './fake-csi-server.js';
