// @ts-check
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The packages that a fresh process loads to run some statements, which may await. The debugger is told of
 * every script, whichever of the two module systems loads it.
 *
 * @param {string} statements of an ES module in the project's folder
 * @returns {string[]} names in the order of loading
 */
export function loadedPackages(statements) {
  const script = `
    import { Session } from 'node:inspector';
    const session = new Session();
    session.connect();
    session.on('Debugger.scriptParsed', ({ params }) => console.log(params.url));
    session.post('Debugger.enable');
    ${statements}
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const names = stdout.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//g);
  return [...new Set([...names].map((match) => String(match[1])))];
}
