import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** What a certificate says. */
export interface CertificateSubject {
  readonly commonName: string;
  /** For a client of Kubernetes: its groups. */
  readonly organizations?: readonly string[];
  /** The host names and addresses that it is valid for. */
  readonly hosts?: readonly string[];
  /** @defaultValue an hour ago */
  readonly validFrom?: Date;
  /** @defaultValue a day from now */
  readonly validTo?: Date;
}

/** A certificate and its key, in PEM. */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

const HOUR_MS = 3_600_000;

/**
 * A certificate authority for tests: ECDSA on P-256, made in a few milliseconds without other programs. It
 * writes X.509 itself, because the libraries that can would add 0.4 to 0.7 MB and a dozen packages to what
 * users of this package install.
 */
export class FakeAuthority {
  /** PEM of its own certificate. */
  readonly certificate: string;
  readonly #name: Buffer;
  readonly #key: KeyObject;

  constructor(commonName: string) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = privateKey;
    this.#name = nameOf({ commonName });
    const extensions = [
      extension('2.5.29.19', sequence(TRUE), true),
      extension('2.5.29.15', bits(0x06), true),
    ];
    this.certificate = this.#signed({ commonName }, publicKey, extensions);
  }

  /** A certificate for a server or a client. */
  issue(subject: CertificateSubject): CertificateAndKey {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { hosts = [] } = subject;
    const names = hosts.map((host) =>
      isIP(host) === 0 ? tlv(0x82, Buffer.from(host, 'latin1')) : tlv(0x87, addressOf(host)),
    );
    const extensions = [
      extension('2.5.29.19', sequence(), true),
      extension('2.5.29.15', bits(0x80), true),
      extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
      ...(names.length > 0 ? [extension('2.5.29.17', sequence(...names))] : []),
    ];
    return {
      certificate: this.#signed(subject, publicKey, extensions),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }

  #signed(subject: CertificateSubject, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    const now = Date.now();
    const { validFrom = new Date(now - HOUR_MS), validTo = new Date(now + 24 * HOUR_MS) } = subject;
    const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
    const toBeSigned = sequence(
      tlv(0xa0, tlv(0x02, Buffer.of(2))),
      tlv(0x02, Buffer.concat([Buffer.of(0x01), randomBytes(15)])),
      algorithm,
      this.#name,
      sequence(time(validFrom), time(validTo)),
      nameOf(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      tlv(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', toBeSigned, this.#key);
    const der = sequence(toBeSigned, algorithm, tlv(0x03, Buffer.of(0), signature));
    const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  }
}

/** DER: a tag, the length, the content. */
function tlv(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, body]);
}

function sequence(...content: readonly Buffer[]): Buffer {
  return tlv(0x30, ...content);
}

const TRUE = tlv(0x01, Buffer.of(0xff));

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [40 * first + second];
  for (const each of rest) {
    const septets = [each & 0x7f];
    for (let left = Math.floor(each / 128); left > 0; left = Math.floor(left / 128)) {
      septets.unshift((left & 0x7f) | 0x80);
    }
    bytes.push(...septets);
  }
  return tlv(0x06, Buffer.from(bytes));
}

/** A bit string of one byte; its unused bits are the zeros at its end. */
function bits(byte: number): Buffer {
  return tlv(0x03, Buffer.of(31 - Math.clz32(byte & -byte), byte));
}

function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  // Years from 2050 on have all their digits.
  return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(text.slice(2))) : tlv(0x18, Buffer.from(text));
}

function nameOf({ commonName, organizations = [] }: CertificateSubject): Buffer {
  const part = (type: string, value: string): Buffer =>
    tlv(0x31, sequence(oid(type), tlv(0x0c, Buffer.from(value, 'utf8'))));
  return sequence(...organizations.map((each) => part('2.5.4.10', each)), part('2.5.4.3', commonName));
}

function extension(type: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(type), ...(isCritical ? [TRUE] : []), tlv(0x04, value));
}

/** The bytes of an IPv4 or IPv6 address. */
function addressOf(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number));
  const [head = '', tail] = host.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return Buffer.from([...front, ...zeros, ...back].map((each) => each.padStart(4, '0')).join(''), 'hex');
}
