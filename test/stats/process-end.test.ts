import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** What a program prints that has an analyzer of one volume which never answers; it must end by itself. */
async function printed(program: string): Promise<string> {
  const text = `
    import { FsResourceAnalyzer } from 'kube-volume-metrics';
    const deaf = { name: 'deaf', getMetrics: () => new Promise(() => {}) };
    const pod = { metadata: { uid: '1', name: 'a', namespace: 'b' }, spec: { volumes: [{ name: 'v' }] } };
    const statsProvider = { getPods: () => [pod], listVolumesForPod: () => new Map([['v', deaf]]) };
    ${program}
    console.log('end');`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', text], {
    cwd: ROOT,
  });
  return stdout;
}

describe('a process with a volume that never answers', () => {
  test('ends while rounds go on in the background', async () => {
    expect(await printed('new FsResourceAnalyzer(statsProvider).start();')).toBe('end\n');
  });

  test('lives until a calculation is done, and ends then', async () => {
    const program = `
      const [stats] = await new FsResourceAnalyzer(statsProvider, { timeoutMs: 50 }).calculate();
      console.log(stats.persistentVolumes[0].state);`;
    expect(await printed(program)).toBe('stuck\nend\n');
  });
});
