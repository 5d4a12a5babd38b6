// Runs an example that tsup has built: `npm run example exporter data=/srv/data`.
import { readdirSync } from 'node:fs';

const built = new URL('../node_modules/.cache/examples/', import.meta.url);
const names = readdirSync(built)
  .filter((name) => name.endsWith('.mjs'))
  .map((name) => name.slice(0, -'.mjs'.length))
  .filter((name) => !name.startsWith('chunk-'));
const [name = '', ...args] = process.argv.slice(2);

if (names.includes(name)) {
  const program = new URL(`${name}.mjs`, built);
  process.argv.splice(1, process.argv.length, program.pathname, ...args);
  await import(program.href);
} else {
  console.error(name === '' ? 'Which example?' : `There is no example '${name}'.`);
  for (const each of names.sort()) console.error(`  npm run example ${each}`);
  console.error('Two more: npm start, and npm run example:csi-hostpath (examples/csi-hostpath/README.md)');
  process.exitCode = 2;
}
