import { execa } from 'execa';
import { constants } from 'node:os';
import { mayMount } from '../csi-hostpath/may-mount.js';

/** Set for the program inside, so that it does not try again. */
const INSIDE = 'EMBEDDED_NODE_NAMESPACE';

const ENTER = ['--user', '--map-root-user', '--mount'];

/**
 * Runs the program again where a user without rights may mount: in a user and mount namespace of its own,
 * made by unshare(1). Many systems let everybody do that. What is mounted there goes with the program.
 *
 * @returns its exit code; undefined if this process may mount itself, or no namespace can be made
 */
export async function runInOwnNamespace(): Promise<number | undefined> {
  if (process.platform !== 'linux' || mayMount() || process.env[INSIDE] !== undefined) return undefined;
  const probe = await execa('unshare', [...ENTER, 'true'], { reject: false, stdio: 'ignore' });
  if (probe.failed) return undefined;
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const inside = execa('unshare', [...ENTER, ...args], {
    env: { [INSIDE]: '1' },
    stdio: 'inherit',
    reject: false,
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => inside.kill(name));
  const { exitCode, signal } = await inside;
  return exitCode ?? 128 + (signal === undefined ? 0 : (constants.signals[signal] ?? 0));
}
