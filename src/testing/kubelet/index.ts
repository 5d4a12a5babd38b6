// For tests of code that asks a kubelet.
export { FakeKubelet } from './fake-kubelet.js';
export type { FakeKubeletMode } from './fake-kubelet.js';
export type { FakeKubeletOptions } from './fake-kubelet-options.js';
export type { FakeKubeletBody, FakeKubeletVersion } from './kubelet-endpoints.js';
export type { FakeHttpAnswer } from './fake-server.js';
export type { FakeAuthentication, FakeRule, FakeUser, FakeUsers } from './fake-users.js';
export { FakeApiServer } from './fake-api-server.js';
export type { FakeApiServerOptions } from './fake-api-server.js';
export type { FakeApiResource } from './api-resources.js';
export { FakeAuthority } from './certificates.js';
export type { CertificateAndKey, CertificateSubject } from './certificates.js';

// For tests of code that reads a kubelet's folders.
export { makeKubeletRoot } from './make-kubelet-root.js';
export type {
  ApiContainer,
  ApiPersistentVolume,
  ApiPod,
  ApiVolume,
  KubeletRoot,
  KubeletRootOptions,
} from './make-kubelet-root.js';
