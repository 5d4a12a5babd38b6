import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { API_SERVER, NODE_NAME, PKI } from './place.mjs';

/** Makes the certificates of a cluster with one node. They live as long as the node. */
export function makeKeys() {
  mkdirSync(PKI, { mode: 0o700 });
  authority('ca', 'kube-volume-metrics');
  authority('other-ca', 'someone-else');
  key('sa');
  openssl('pkey', '-in', 'sa.key', '-pubout', '-out', 'sa.pub');
  const local = 'DNS:localhost,IP:127.0.0.1';
  certificate('apiserver', '/CN=kube-apiserver', {
    names: `${local},DNS:kubernetes,DNS:kubernetes.default.svc,IP:10.96.0.1`,
  });
  certificate('kubelet-server', `/CN=${NODE_NAME}`, { names: `${local},DNS:${NODE_NAME}` });
  certificate('kubelet', `/O=system:nodes/CN=system:node:${NODE_NAME}`);
  certificate('apiserver-kubelet', '/O=system:masters/CN=kube-apiserver-kubelet-client');
  certificate('admin', '/O=system:masters/CN=admin');
  certificate('nobody', '/CN=nobody-in-particular');
  certificate('untrusted', '/O=system:masters/CN=admin', { by: 'other-ca' });
  for (const user of ['kubelet', 'admin']) writeKubeconfig(user);
}

function openssl(...args) {
  execFileSync('openssl', args, { cwd: PKI, stdio: ['ignore', 'ignore', 'pipe'] });
}

function key(name) {
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`);
}

function authority(name, commonName) {
  key(name);
  const usage = 'keyUsage=critical,keyCertSign,cRLSign';
  const subject = ['-subj', `/CN=${commonName}`, '-days', '3650', '-addext', usage];
  openssl('req', '-x509', '-new', '-key', `${name}.key`, ...subject, '-out', `${name}.crt`);
}

/** One for a server if it has names, otherwise for a client. */
function certificate(name, subject, { names, by = 'ca' } = {}) {
  key(name);
  openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
  const extensions = [
    'keyUsage=critical,digitalSignature',
    `extendedKeyUsage=${names === undefined ? 'clientAuth' : 'serverAuth'}`,
    ...(names === undefined ? [] : [`subjectAltName=${names}`]),
  ];
  writeFileSync(join(PKI, `${name}.ext`), extensions.join('\n'));
  const signer = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '3650'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-extfile', `${name}.ext`, '-out', `${name}.crt`);
  for (const end of ['csr', 'ext']) rmSync(join(PKI, `${name}.${end}`));
}

function writeKubeconfig(user) {
  const file = (name) => join(PKI, name);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'node',
    contexts: [{ name: 'node', context: { cluster: 'node', user } }],
    clusters: [{ name: 'node', cluster: { server: API_SERVER, 'certificate-authority': file('ca.crt') } }],
    users: [
      { name: user, user: { 'client-certificate': file(`${user}.crt`), 'client-key': file(`${user}.key`) } },
    ],
  };
  writeFileSync(file(`${user}.kubeconfig`), JSON.stringify(config, undefined, 2));
}
