import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { errorText, propertyOf } from '../../errors.js';
import { escapeControls } from '../../escape.js';

/** The most sockets that are asked: a node has a handful of plugins. */
const MOST_SOCKETS = 256;

/** The most folders that are read: `plugins_registry` itself, and those in it. */
const MOST_FOLDERS = 64;

/** What `plugins_registry` holds. */
export interface RegistrySockets {
  /** By path, what tells a socket from a later one of the same name. */
  readonly sockets: ReadonlyMap<string, string>;
  /** Why some of them are not known, for people. */
  readonly problem: string | undefined;
}

/** The sockets in `plugins_registry` and in the folders below it, which the kubelet watches too. */
export function registrySockets(registry: string): RegistrySockets {
  const sockets = new Map<string, string>();
  let problem: string | undefined;
  const folders = [registry];
  for (const [at, folder] of folders.entries()) {
    if (at === MOST_FOLDERS) {
      problem = `${escapeControls(registry)} has ${String(folders.length)} folders; only the first ${String(MOST_FOLDERS)} are read`;
      break;
    }
    const names = namesIn(folder);
    if (typeof names === 'string') {
      problem ??= names;
      continue;
    }
    for (const path of names.map((name) => `${folder}/${name}`)) {
      const stats = statsOf(path);
      if (stats?.isDirectory()) folders.push(path);
      else if (stats?.isSocket()) sockets.set(path, identityOf(stats));
    }
  }
  if (sockets.size > MOST_SOCKETS) {
    problem = `${escapeControls(registry)} has ${String(sockets.size)} sockets; only the first ${String(MOST_SOCKETS)} are asked`;
  }
  return { sockets: new Map([...sockets].slice(0, MOST_SOCKETS)), problem };
}

/** Undefined unless it is a socket. */
export function socketIdentity(path: string): string | undefined {
  const stats = statsOf(path);
  return stats?.isSocket() ? identityOf(stats) : undefined;
}

/** The names in a folder, or why they are not known. */
function namesIn(folder: string): readonly string[] | string {
  try {
    // The kubelet leaves out what begins with a dot.
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch (error) {
    const why = propertyOf(error, 'code') === 'ENOENT' ? 'it does not exist' : errorText(error);
    return `the CSI drivers are not known: ${escapeControls(folder)}: ${escapeControls(why)}`;
  }
}

function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

function identityOf({ dev, ino, ctimeMs }: Stats): string {
  return `${String(dev)}:${String(ino)}:${String(ctimeMs)}`;
}
