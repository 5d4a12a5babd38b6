import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { errorText, propertyOf } from '../errors.js';
import { SERVICE_ACCOUNT, type CheckedDoor } from './door-options.js';
import { KubeletError, type DoorPrefix } from './kubelet-error.js';

/** What a call needs of the files, as they are now. */
export interface Credentials {
  /** The value of the header Authorization. */
  readonly authorization: string | undefined;
  /** What the TLS context is made of, to see whether it changed; undefined over http. */
  readonly tls: TlsFiles | undefined;
}

interface TlsFiles {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** SHA-256 of the certificate that alone is trusted. */
  readonly pinned: string | undefined;
}

/** Nothing that is read here is larger. */
const MOST_BYTES = 1024 * 1024;

/**
 * Reads the credentials of a door. They are the operator's files and not a volume's.
 *
 * @throws KubeletError BAD_CREDENTIALS naming the file
 */
export async function readCredentials(door: CheckedDoor, prefix: DoorPrefix): Promise<Credentials> {
  const read = (what: string, path: string): Promise<string> => readSmallFile(prefix, what, path);
  const { auth, caFile, pinnedCertificateFile } = door;
  const tokenFile =
    auth.type === 'serviceAccount' ? (auth.tokenFile ?? `${SERVICE_ACCOUNT}/token`) : undefined;
  let authorization;
  if (tokenFile !== undefined) {
    authorization = `Bearer ${checkedToken(prefix, tokenFile, await read('token', tokenFile))}`;
  } else if (auth.type === 'basic') {
    // A line break at the end is the editor's.
    const password = (await read('password', auth.passwordFile)).replace(/\r?\n$/, '');
    authorization = `Basic ${Buffer.from(`${auth.username}:${password}`).toString('base64')}`;
  }
  if (door.url.protocol === 'http:') return { authorization, tls: undefined };
  const ca = caFile === undefined ? undefined : await read('CA', caFile);
  if (caFile !== undefined) fingerprint(prefix, caFile, ca ?? '');
  const pinned =
    pinnedCertificateFile === undefined ? undefined : await read('certificate', pinnedCertificateFile);
  return {
    authorization,
    tls: {
      ca,
      cert: auth.type === 'tls' ? await read('certificate', auth.certFile) : undefined,
      key: auth.type === 'tls' ? await read('key', auth.keyFile) : undefined,
      pinned: pinned === undefined ? undefined : fingerprint(prefix, pinnedCertificateFile ?? '', pinned),
    },
  };
}

/** @throws KubeletError BAD_CREDENTIALS unless certificate and key can be read and belong together */
export function secureContext(
  door: CheckedDoor,
  prefix: DoorPrefix,
  { ca, cert, key }: TlsFiles,
): SecureContext {
  try {
    return createSecureContext({ ca, cert, key });
  } catch (error) {
    const { auth } = door;
    const files =
      auth.type === 'tls' ? [...new Set([auth.certFile, auth.keyFile])].join(' and ') : (door.caFile ?? '');
    throw bad(
      prefix,
      files,
      `the certificate and key of ${files} cannot be used: ${errorText(error)}`,
      error,
    );
  }
}

async function readSmallFile(prefix: DoorPrefix, what: string, path: string): Promise<string> {
  let text;
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new Error('it is not a file');
    if (info.size > MOST_BYTES) throw new Error(`it has ${String(info.size)} bytes`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    const isMissing = propertyOf(error, 'code') === 'ENOENT';
    const hint =
      isMissing && path.startsWith(SERVICE_ACCOUNT)
        ? '; this is no pod, or one without automountServiceAccountToken: give tokenFile'
        : '';
    throw bad(prefix, path, `the ${what} file ${path} cannot be read: ${errorText(error)}${hint}`, error);
  }
  if (text.trim() === '') throw bad(prefix, path, `the ${what} file ${path} is empty`);
  return text;
}

/** A token goes into a header: it is one line of visible ASCII. */
function checkedToken(prefix: DoorPrefix, path: string, text: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw bad(
    prefix,
    path,
    `the token file ${path} holds something that is not a token: it has spaces, line breaks or other characters inside`,
  );
}

/** SHA-256 of the first certificate in a PEM file. */
function fingerprint(prefix: DoorPrefix, path: string, pem: string): string {
  try {
    return new X509Certificate(pem).fingerprint256;
  } catch (error) {
    throw bad(prefix, path, `the file ${path} holds no certificate in PEM: ${errorText(error)}`, error);
  }
}

function bad(prefix: DoorPrefix, path: string, message: string, cause?: unknown): KubeletError {
  return new KubeletError(`${prefix}_BAD_CREDENTIALS`, message, {
    path,
    ...(cause !== undefined && { cause }),
  });
}
