import { majorMinor } from './devices.js';
import { parseMountinfo, readMountinfo, STOPPED } from './mounts.js';

/** Whether the filesystem of a device, as `stat` gives it, stopped writing. */
export function isStopped(device: bigint): boolean {
  const listed = stoppedLately();
  if (listed.size === 0) return false;
  const name = majorMinor(device);
  // Another filesystem may have the device number by now.
  return listed.has(name) && stoppedDevices().has(name);
}

/**
 * The devices, as `Mount.device`, of filesystems that stopped writing. Empty if the list of mounts cannot
 * be read.
 */
function stoppedDevices(): ReadonlySet<string> {
  let text = '';
  try {
    text = readMountinfo('latin1');
  } catch {
    return new Set();
  }
  if (![...STOPPED].some((each) => text.includes(each))) return new Set();
  const stopped = parseMountinfo(text).filter(({ options }) => options.some((each) => STOPPED.has(each)));
  return new Set(stopped.map(({ device }) => device));
}

/**
 * Milliseconds for which the list of stopped filesystems is kept: each reading needs it, and it rarely
 * changes.
 */
const STOPPED_AGE_MS = 10_000;

let lately: { readonly devices: ReadonlySet<string>; readonly sinceMs: number } | undefined;

/** {@link stoppedDevices}, at most ten seconds old. */
export function stoppedLately(): ReadonlySet<string> {
  const nowMs = performance.now();
  if (lately === undefined || nowMs - lately.sinceMs >= STOPPED_AGE_MS) {
    lately = { devices: stoppedDevices(), sinceMs: nowMs };
  }
  return lately.devices;
}
