import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FakeAuthority } from '../../../src/testing/kubelet/index.js';
import { needs } from '../../support/needs.js';

describe('certificates of a fake authority', () => {
  const authority = new FakeAuthority('an authority');
  const directory = mkdtempSync(join(tmpdir(), 'kvm-certificates-'));
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test('are signed by it, belong to their keys, and say what was asked for', () => {
    const { certificate, key } = authority.issue({
      commonName: 'system:node:nöde',
      organizations: ['system:nodes', 'others'],
      hosts: ['node1', '127.0.0.1', '::1', '2001:db8::a:1'],
      validFrom: new Date('2026-01-02T03:04:05Z'),
      validTo: new Date('2090-01-02T03:04:05Z'),
    });
    const [issued, signer] = [new X509Certificate(certificate), new X509Certificate(authority.certificate)];
    expect(issued.verify(signer.publicKey)).toBe(true);
    expect(issued.checkIssued(signer)).toBe(true);
    expect(issued.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect([signer.ca, issued.ca]).toEqual([true, false]);
    expect(issued.subject.split('\n')).toEqual(['O=system:nodes', 'O=others', 'CN=system:node:nöde']);
    expect(issued.subjectAltName).toBe(
      'DNS:node1, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:A:1',
    );
    expect(new Date(issued.validFrom).toISOString()).toBe('2026-01-02T03:04:05.000Z');
    expect(new Date(issued.validTo).toISOString()).toBe('2090-01-02T03:04:05.000Z');
  });

  test('are of one authority alone', () => {
    const { certificate } = new FakeAuthority('an authority').issue({ commonName: 'x' });
    expect(
      new X509Certificate(certificate).verify(new X509Certificate(authority.certificate).publicKey),
    ).toBe(false);
  });

  test.skipIf(needs({ programs: ['openssl'] }))('satisfy openssl at its strictest', () => {
    const { certificate } = authority.issue({ commonName: 'x', hosts: ['node1'] });
    const [ca, leaf] = [join(directory, 'ca.crt'), join(directory, 'x.crt')];
    writeFileSync(ca, authority.certificate);
    writeFileSync(leaf, certificate);
    const args = ['verify', '-purpose', 'sslserver', '-verify_hostname', 'node1', '-CAfile', ca, leaf];
    expect(execFileSync('openssl', args, { encoding: 'utf8' })).toBe(`${leaf}: OK\n`);
  });
});
