import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activeBinding } from '../../src/os/choose-binding.js';
import { diskUsage } from '../../src/os/disk-usage.js';
import { fsInfo } from '../../src/os/fs-info.js';
import { pathInfo } from '../../src/os/path-info.js';
import { FuseServer } from '../support/fuse.mjs';
import { needs } from '../support/needs.js';

const NONE = process.platform !== 'linux';
const BINDINGS = (['native', 'command'] as const).filter(
  (binding) => binding === 'command' || activeBinding().binding === 'native',
);
/** Longer than it takes until a path is stuck. */
const NO_LIMIT = { timeoutMs: 600_000 };

describe.skipIf(NONE).each(BINDINGS)('%s binding', (binding) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvm-spellings-'));
    writeFileSync(join(folder, 'file'), 'x');
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test.each(['/', '/.', '//', '/./'])('a directory with %j behind it is the same', async (end) => {
    const [plain, other] = await Promise.all([
      pathInfo(folder, { binding }),
      pathInfo(folder + end, { binding }),
    ]);
    expect(other).toEqual(plain);
  });

  test.each(['/', '/.', '//', '/./'])('a file with %j behind it is none, whoever else asks', async (end) => {
    const file = join(folder, 'file');
    for (const call of [fsInfo, pathInfo]) {
      const [plain, other] = await Promise.allSettled([
        call(file, { binding }),
        call(file + end, { binding }),
      ]);
      expect(plain.status).toBe('fulfilled');
      expect(other).toMatchObject({ reason: { code: 'METRICS_NOT_FOUND', cause: { code: 'ENOTDIR' } } });
    }
  });

  test.skipIf(needs({ fuse: true }))('a path that is stuck is, however it is spelled', async () => {
    await using server = new FuseServer();
    const mount = await server.mount();
    await mount.hold();
    const first = await fsInfo(mount.path, { binding, ...NO_LIMIT }).catch((error: unknown) => error);
    expect(first).toMatchObject({ code: 'METRICS_TIMED_OUT', stuckSince: expect.any(Date) as Date });
    const { stuckSince } = first as { stuckSince: Date };
    for (const path of [`${mount.path}/`, `${mount.path}/.`, `/${mount.path}`, `${mount.path}//`]) {
      for (const call of [fsInfo, pathInfo]) {
        await expect(call(path, { binding, ...NO_LIMIT })).rejects.toMatchObject({ stuckSince });
      }
      await expect(diskUsage(path, { binding })).rejects.toMatchObject({ stuckSince });
    }
  });
});
