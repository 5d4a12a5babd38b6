// The collector in a registry of @prometheus-io/client, prom-client's successor, which needs a newer Node
// than this package does: both are fetched from npm into a folder of their own. `node
// test/prometheus/newer-client.mjs`, after `npm run build`. Where npm cannot fetch them it says so and
// passes, unless KVM_NO_SKIP=1.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGES = ['node@24', '@prometheus-io/client@0.16.1', 'prom-client@15.1.3'];

const folder = mkdtempSync(join(tmpdir(), 'kvm-newer-client-'));
try {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const node = join(folder, 'node_modules/node/bin/node');
  const failure = install();
  if (failure === undefined && existsSync(node)) {
    execFileSync(node, [join(HERE, 'newer-client-check.mjs'), folder], { stdio: 'inherit' });
  } else {
    console.log(`skipped: npm cannot install ${PACKAGES.join(' ')} here: ${failure ?? 'it has no node'}`);
    if (process.env.KVM_NO_SKIP === '1') process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Why it failed, in a line. */
function install() {
  // --force: the Node that runs npm here is older than the one it fetches.
  const args = ['install', '--force', '--no-audit', '--no-fund', '--loglevel=error', ...PACKAGES];
  try {
    execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return undefined;
  } catch (error) {
    return (error.stderr || error.message).trim().split('\n')[0];
  }
}
