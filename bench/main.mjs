// `npm run bench` measures and prints; `npm run bench -- stuck` one section; `npm run bench -- --check` ends
// non-zero when a figure misses its goal by more than its slack, threefold unless a section says otherwise,
// three times in a row. A run of all sections writes what it printed to RESULTS.md.
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { activeBinding } from 'kube-volume-metrics';
import { measureSection } from './report.mjs';

/**
 * Each is a module of this folder that exports `about`, one line, and `run(report, { isCheck })`, which may leave
 * out of a check what takes minutes.
 */
const SECTIONS = ['import', 'fsinfo', 'stuck', 'walk', 'round', 'stats', 'csi', 'kubelet'];

/** How many times a check measures a section again in which figures miss their goal. */
const REPEATS = 2;

const args = process.argv.slice(2);
const isCheck = args.includes('--check');
const wanted = args.filter((arg) => arg !== '--check');
const unknown = wanted.filter((arg) => !SECTIONS.includes(arg));
if (unknown.length > 0) {
  console.error(
    `unknown: ${unknown.join(' ')}\nusage: npm run bench -- [--check] [${SECTIONS.join('|')}]...`,
  );
  process.exit(2);
}

const printed = [];
function print(text) {
  console.log(text);
  printed.push(text);
}

const { binding, reason } = activeBinding();
const memoryGib = Math.round(totalmem() / 1024 ** 3);
print(
  `Node ${process.version}, Linux ${release()}, ${availableParallelism()} x ${cpus()[0]?.model}, ${memoryGib} GiB`,
);
print(`binding: ${binding}${reason === undefined ? '' : ` (${reason})`}`);

const failures = [];
for (const name of wanted.length > 0 ? wanted : SECTIONS) {
  const section = await import(`./${name}.mjs`);
  print(`\n${name}: ${section.about}`);
  const run = (report) => section.run(report, { isCheck });
  failures.push(...(await measureSection(run, isCheck ? REPEATS : 0, print)));
}

if (wanted.length === 0 && !isCheck) {
  const head =
    '# What `npm run bench` printed\n\nOn the machine that it names first. Ratios compare figures of one run.\n';
  writeFileSync(
    new URL('RESULTS.md', import.meta.url),
    `${head}\n\`\`\`text\n${printed.join('\n')}\n\`\`\`\n`,
  );
}

if (isCheck) {
  for (const failure of failures) console.log(`MISSED ${failure}`);
  console.log(failures.length === 0 ? 'every goal is met within its slack' : 'goals are missed');
  process.exitCode = failures.length === 0 ? 0 : 1;
}
