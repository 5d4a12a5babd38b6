// @ts-check
// Everything that goes wrong on a node, all at once: `npm run test:soak -- [SECONDS [SEED]]
// [--without=TROUBLE,...]`. Exits with 0 when all numbers were right and nothing was left over.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { activeBinding } from 'kube-volume-metrics';
import { Findings, Tally } from './findings.mjs';
import { Random } from './random.mjs';
import { heldAgain, heldInQuiet, leaks } from './resources.mjs';
import { play } from './scene.mjs';
import { Workplace } from './workplace.mjs';

const WARM_UP_SECONDS = 6;
const TROUBLES = ['hostile', 'driver', 'fuse', 'workers', 'pods', 'callers', 'scrapers'];

/** The event loop was never blocked for longer, however busy the machine is: a path counts as stuck then. */
const LONGEST_DELAY_MS = 5_000;

const { seconds, seed, without } = asked(process.argv.slice(2));
const reason = missing();
if (reason !== undefined) {
  console.log(`skipped: ${reason}`);
  process.exit(process.env['KVM_NO_SKIP'] === '1' ? 1 : 0);
}

const findings = new Findings();
process.on('unhandledRejection', (error) => {
  findings.add('an unhandled rejection', String(error instanceof Error ? error.stack : error));
});
process.on('uncaughtException', (error) => findings.add('an uncaught exception', String(error.stack)));
process.on('warning', (warning) => findings.add('a warning of the process', String(warning)));
// However the process ends, the workplace is cleared.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

const random = new Random(seed);
const leftOut = without.size === 0 ? '' : `, without ${[...without].join(', ')}`;
console.log(`soak: ${String(seconds)} s, seed ${String(seed)}${leftOut}, binding ${activeBinding().binding}`);

const workplace = new Workplace();
const hostile = await workplace.compile(join(import.meta.dirname, 'hostile.c'));
await part(WARM_UP_SECONDS);
const before = await heldInQuiet();
const { tallies, played } = await part(seconds);
const after = await heldAgain(before);
workplace.clear();

for (const leak of leaks(before, after)) findings.add('more than after the warm-up', leak);
if (played !== undefined && played.delayMs >= LONGEST_DELAY_MS) {
  findings.add('a blocked event loop', `${String(Math.round(played.delayMs))} ms`);
}
console.log(`readings: ${String(tallies.readings)}`);
console.log(`failures: ${String(tallies.failures)}`);
console.log(`besides:  ${String(tallies.others)}`);
if (played !== undefined) {
  const { pods, scrapes, samples, delayMs } = played;
  console.log(
    `${String(pods)} pods, ${String(scrapes)} scrapes with ${String(samples)} samples, ` +
      `worst delay of the event loop ${String(Math.round(delayMs))} ms`,
  );
}
for (const name of /** @type {(keyof typeof before)[]} */ (Object.keys(before))) {
  const [one, other] = [before[name], after[name]].map((value) => String(value).padStart(6));
  console.log(`${name.padEnd(12)} ${one} before, ${other} after`);
}
for (const line of findings.lines()) console.log(line);
console.log(findings.isEmpty ? 'ok' : `FAILED; seed ${String(seed)}`);
process.exit(findings.isEmpty ? 0 : 1);

/** @param {number} length in seconds */
async function part(length) {
  const counts = { readings: new Tally(), failures: new Tally(), others: new Tally() };
  const options = { workplace, hostile, seconds: length, random, without, findings, tallies: counts };
  try {
    return { tallies: counts, played: await play(options) };
  } catch (error) {
    findings.add('the soak itself failed', String(error instanceof Error ? error.stack : error));
    return { tallies: counts, played: undefined };
  }
}

/** @param {readonly string[]} args */
function asked(args) {
  const [secondsText = '60', seedText = String(Date.now() % 1_000_000)] = args.filter(
    (arg) => !arg.startsWith('--'),
  );
  const flags = args.filter((arg) => arg.startsWith('--'));
  const names = flags.flatMap((flag) => flag.replace(/^--without=/, '').split(','));
  const [length, start] = [Number(secondsText), Number(seedText)];
  if (!(length > 0) || !Number.isSafeInteger(start) || names.some((name) => !TROUBLES.includes(name))) {
    console.error(`usage: npm run test:soak -- [SECONDS [SEED]] [--without=${TROUBLES.join(',')}]`);
    process.exit(2);
  }
  return { seconds: length, seed: start, without: new Set(names) };
}

/** Why it cannot run here; undefined when it can. */
function missing() {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'mounting needs root';
  if (!isAllowed('/dev/fuse', constants.R_OK | constants.W_OK)) return '/dev/fuse cannot be opened';
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/sbin', '/usr/sbin'];
  const program = ['gcc', 'mount', 'umount'].find(
    (name) => !folders.some((folder) => isAllowed(join(folder, name), constants.X_OK)),
  );
  if (program !== undefined) return `there is no ${program} program`;
  if (globalThis.gc === undefined) return 'Node was started without --expose-gc';
  const { binding, reason: why = '' } = activeBinding();
  return binding === 'native' ? undefined : `the native binding cannot be used: ${why}`;
}

/** @param {string} path @param {number} mode */
function isAllowed(path, mode) {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
