import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { API_SERVER, KUBELET, PKI } from './place.mjs';

/** The doors of the API server and of the kubelet. */

const LIMIT_MS = 30_000;
const agents = new Map();

function agentOf(user) {
  let agent = agents.get(user);
  if (agent === undefined) {
    const file = (name) => readFileSync(join(PKI, name));
    const own = user === undefined ? {} : { cert: file(`${user}.crt`), key: file(`${user}.key`) };
    agents.set(user, (agent = new Agent({ ca: file('ca.crt'), ...own, keepAlive: true })));
  }
  return agent;
}

/**
 * One request; an answer of any status is one.
 *
 * @param {string} url
 * @param {{ method?: string, body?: string, headers?: Record<string, string>, user?: string }} [options] - `user`
 * is the certificate that is shown
 * @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, body: string, httpVersion: string }>}
 */
export function ask(url, { method = 'GET', body, headers = {}, user } = {}) {
  const isSecure = url.startsWith('https:');
  return new Promise((resolve, reject) => {
    const options = {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
      signal: AbortSignal.timeout(LIMIT_MS),
      ...(isSecure && { agent: agentOf(user) }),
    };
    const request = (isSecure ? httpsRequest : httpRequest)(url, options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status, headers: received, httpVersion } = response;
        resolve({ status, headers: received, httpVersion, body: Buffer.concat(chunks).toString() });
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}

/**
 * Asks the API server as an administrator.
 *
 * @returns {Promise<{ status: number, object: any }>} whatever the status is
 */
export async function api(method, path, object, type = 'application/json') {
  const { status, body } = await ask(`${API_SERVER}${path}`, {
    method,
    user: 'admin',
    headers: { accept: 'application/json', 'content-type': type },
    ...(object !== undefined && { body: JSON.stringify(object) }),
  });
  return { status, object: body === '' ? {} : parsed(body) };
}

/** What the API server has there. */
export async function get(path) {
  const { status, object } = await api('GET', path);
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${object.message ?? ''}`);
  return object;
}

/** What the kubelet says there to an administrator, as text. */
export async function kubeletText(path) {
  const { status, body } = await ask(`${KUBELET}${path}`, { user: 'admin' });
  if (status !== 200) throw new Error(`the kubelet answers ${path} with ${status}: ${body}`);
  return body;
}

/** Closes the connections that are kept open, so that a process can end. */
export function closeDoors() {
  for (const agent of agents.values()) agent.destroy();
  agents.clear();
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return { message: body };
  }
}
