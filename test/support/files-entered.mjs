// @ts-check How many files of src/ a call enters, from V8's precise coverage: `npm run files-entered`, and
// `-- --write` to put the numbers into docs/architecture.md. Generated code does not count.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { markdownTable, writeBlock } from './marked-block.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RUN = fileURLToPath(new URL('files-entered-run.mjs', import.meta.url));
const DOCUMENT = join(ROOT, 'docs/architecture.md');
export const BLOCK = 'files-entered';

/**
 * @typedef {'native' | 'commands' | 'analyzer' | 'csi'} Call
 * @typedef {{ readonly title: string, readonly limit: number }} Goal the limit is that of a warm call
 * @typedef {{ readonly first: readonly string[], readonly warm: readonly string[] }} Entered paths below
 * src/, sorted
 */

/** @type {Readonly<Record<Call, Goal>>} */
export const CALLS = {
  native: { title: '`MetricsStatFs`, to the system call', limit: 9 },
  commands: { title: '`MetricsStatFs`, through commands', limit: 14 },
  analyzer: { title: 'one round of `FsResourceAnalyzer`', limit: 10 },
  csi: { title: '`MetricsCsi`, from a volume id to the wire', limit: 8 },
};

/**
 * Finds the files for each call.
 *
 * @param {readonly Call[]} [calls]
 * @returns {Promise<Map<Call, Entered>>}
 */
export async function filesEntered(calls = /** @type {Call[]} */ (Object.keys(CALLS))) {
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  // As the addresses of its scripts have it.
  const compiled = realpathSync(mkdtempSync(join(cache, 'files-entered-')));
  try {
    await compile(compiled);
    return new Map(calls.map((call) => [call, run(call, compiled)]));
  } finally {
    rmSync(compiled, { recursive: true, force: true });
  }
}

/**
 * One module for each source file, so that a script's address names its source, in a folder that is laid out
 * like the package.
 *
 * @param {string} folder
 */
async function compile(folder) {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, 'src', name));
  await build({
    ...{ entryPoints: sources, outdir: join(folder, 'dist'), outbase: join(ROOT, 'src') },
    ...{ bundle: false, format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning' },
  });
  // The addon is looked for beside the nearest package.json.
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(ROOT, 'native'), join(folder, 'native'));
}

/**
 * @param {Call} call
 * @param {string} compiled
 * @returns {Entered}
 */
function run(call, compiled) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUN, call, join(compiled, 'dist')], {
    encoding: 'utf8',
    // What another tool that counts coverage has told this process is not for that one.
    env: { ...process.env, NODE_V8_COVERAGE: undefined, NODE_OPTIONS: undefined },
  });
  if (status !== 0) throw new Error(`${call} failed: ${stderr}`);
  const { first, warm } = /** @type {Entered} */ (JSON.parse(stdout));
  const own = (/** @type {string} */ name) => !name.startsWith('csi/gen/');
  return { first: first.filter(own), warm: warm.filter(own) };
}

/**
 * The block for docs/architecture.md, formatted as Prettier has it.
 *
 * @param {ReadonlyMap<Call, Entered>} counted
 * @returns {string}
 */
export function table(counted) {
  const rows = [...counted].map(([call, { first, warm }]) => [
    CALLS[call].title,
    String(warm.length),
    String(CALLS[call].limit),
    String(first.length),
  ]);
  return markdownTable(['Call', 'Files entered', 'At most', 'By the first call, with the constructor'], rows);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const counted = await filesEntered();
  for (const [call, { first, warm }] of counted) {
    const { title, limit } = CALLS[call];
    console.log(`${title}: ${String(warm.length)}, at most ${String(limit)}`);
    for (const name of warm) console.log(`    ${name}`);
    for (const name of first.filter((each) => !warm.includes(each)))
      console.log(`    ${name}, the first time`);
    if (warm.length > limit) process.exitCode = 1;
  }
  if (process.argv.includes('--write')) writeBlock(DOCUMENT, BLOCK, table(counted));
}
