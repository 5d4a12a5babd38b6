import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { loadedPackages } from '../test/support/loaded-packages.mjs';
import { interleaved } from './rounds.mjs';

export const about = 'what the import costs in a fresh process, beyond starting node';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ROUNDS = 21;

export async function run(report) {
  const times = await interleaved(
    {
      bare: () => node('0'),
      esm: () => node("import 'kube-volume-metrics'"),
      cjs: () =>
        node(
          "import { createRequire } from 'node:module'; createRequire(process.cwd() + '/x')('kube-volume-metrics')",
        ),
    },
    ROUNDS,
  );
  report.figure({
    what: "import 'kube-volume-metrics'",
    value: times.esm - times.bare,
    unit: 'ms',
    goal: 40,
  });
  report.figure({
    what: "require('kube-volume-metrics')",
    value: times.cjs - times.bare,
    unit: 'ms',
    goal: 40,
  });
  report.figure({ what: 'node itself', value: times.bare, unit: 'ms' });
  const packages = loadedPackages("(await import('kube-volume-metrics')).activeBinding()");
  const heavy = packages.filter((name) => /^(execa|fs-extra|@grpc\/.*)$/.test(name));
  report.figure({ what: 'heavy packages loaded', value: heavy.length, unit: 'packages', goal: 0 });
  report.figure({
    what: `packages loaded: ${packages.join(', ') || 'none'}`,
    value: packages.length,
    unit: 'packages',
  });
}

function node(script) {
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}
