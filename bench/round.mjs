import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { activeBinding } from 'kube-volume-metrics';

export const about = 'all volumes of a node as the kubelet lays them out, beside the bare system calls';

const HERE = fileURLToPath(new URL('round/', import.meta.url));

/**
 * The node is made and measured in a process of its own (bench/round/scene.mjs). Where mounting is allowed,
 * that has a mount namespace of its own, which takes all mounts with it when it ends.
 *
 * @param {import('./report.mjs').Report} report
 * @param {{ isCheck: boolean }} options a check leaves out what takes minutes
 */
export async function run(report, { isCheck }) {
  if (activeBinding().binding !== 'native') {
    report.skipped('rounds', 'the addon is not there');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'kvm-bench-round-'));
  try {
    try {
      execFileSync('make', ['-s', '-C', HERE, `OUT=${folder}`, 'all'], { stdio: 'pipe' });
    } catch (error) {
      report.skipped('rounds', `the programs beside it could not be built: ${firstLine(error)}`);
      return;
    }
    const isMounted = mayMount();
    if (!isMounted) report.skipped('mounts', 'only root can mount; all volumes are plain directories here');
    await inScene({ folder, isMounted, isCheck }, report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the scene to its end and passes on what it reports. */
function inScene(scene, report) {
  const node = [process.execPath, join(HERE, 'scene.mjs'), JSON.stringify(scene)];
  const [program, ...args] = scene.isMounted ? ['unshare', '--mount', ...node] : node;
  // JSON has neither NaN nor Infinity.
  const serialization = 'advanced';
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization });
  child.on('message', ({ figure, skipped }) => {
    if (figure !== undefined) report.figure(figure);
    else report.skipped(...skipped);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`the scene ended with ${signal ?? code}`));
    });
  });
}

/** Root in a container has the number but perhaps not the right to mount. */
function mayMount() {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', HERE], { stdio: 'pipe' });
    return !readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${HERE.slice(0, -1)} `);
  } catch {
    return false;
  }
}

function firstLine(error) {
  return String(error.stderr ?? error.message).split('\n')[0];
}
