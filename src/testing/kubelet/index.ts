// For tests of code that asks a kubelet.
export { FakeKubelet } from './fake-kubelet.js';
export type { FakeKubeletMode, FakeKubeletOptions } from './fake-kubelet.js';
export type { FakeKubeletBody, FakeKubeletVersion } from './kubelet-endpoints.js';
export type { FakeHttpAnswer } from './fake-server.js';
export type { FakeAuthentication, FakeRule, FakeUser, FakeUsers } from './fake-users.js';
export { FakeAuthority } from './certificates.js';
export type { CertificateAndKey, CertificateSubject } from './certificates.js';
