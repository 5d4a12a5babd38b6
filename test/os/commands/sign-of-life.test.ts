import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { signOfLife } from '../../../src/os/commands/sign-of-life.js';
import { needs } from '../../support/needs.js';
import { appears } from './own-children.js';

describe.skipIf(needs({}) !== false)('the sign of life', () => {
  test('changes while a process runs or could run', () => {
    const first = signOfLife(process.pid);
    expect(first).toBeDefined();
    expect(signOfLife(process.pid)).not.toBe(first);
  });

  test('stays the same while it sleeps, and is none once it is gone', async () => {
    const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' });
    const { pid } = child;
    try {
      await once(child, 'spawn');
      await appears(() =>
        readFileSync(`/proc/${String(pid)}/stat`, 'utf8').includes('(sleep) S') ? true : undefined,
      );
      const first = signOfLife(pid);
      expect(first).toMatch(/^\d+$/);
      expect(signOfLife(pid)).toBe(first);
    } finally {
      child.kill('SIGKILL');
    }
    await once(child, 'exit');
    expect(signOfLife(pid)).toBeUndefined();
    expect(signOfLife(undefined)).toBeUndefined();
  });
});
