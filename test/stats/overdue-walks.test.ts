import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { MetricsProvider } from '../../src/metrics.js';
import { MetricsDu } from '../../src/providers/metrics-du.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { FuseServer, type FuseMount } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

/** Each costs several requests, which one process answers: 25 s for two trees on two cores. */
const DIRECTORIES = 40_000;

const LIMIT_MS = 4_000;

describe.skipIf(needs({ fuse: true, native: true }))(
  'two trees that take much longer than walkTimeoutMs',
  () => {
    let server: FuseServer;
    let mounts: TestMounts;
    let slow: readonly FuseMount[];

    beforeAll(async () => {
      server = new FuseServer();
      mounts = new TestMounts();
      const entries = Object.fromEntries(
        Array.from({ length: DIRECTORIES }, (_, index) => [`d${String(index)}`, { entries: {} }]),
      );
      slow = [await server.mount({ entries }), await server.mount({ entries })];
    }, 60_000);
    afterAll(async () => {
      await server.close();
      mounts.close();
    });

    /** A small tree on a disk. */
    function smallTree(): string {
      const path = mounts.newDirectory();
      mkdirSync(join(path, 'd'));
      writeFileSync(join(path, 'd', 'file'), 'x');
      return path;
    }

    const podsOf = (name: string, paths: readonly string[]) =>
      paths.map((path, index) => ({
        name: `${name}${String(index)}`,
        volumes: { tree: new MetricsDu(path) },
      }));

    test('are given up, and five healthy ones behind them are measured', { timeout: 60_000 }, async () => {
      const statsProvider = new FakeStatsProvider([
        ...podsOf(
          'slow',
          slow.map(({ path }) => path),
        ),
        ...podsOf('healthy', Array.from({ length: 5 }, smallTree)),
      ]);
      await using analyzer = new FsResourceAnalyzer(statsProvider, {
        timeoutMs: LIMIT_MS,
        walkTimeoutMs: LIMIT_MS,
        walkShare: 1,
      });
      const volumes = (await analyzer.calculate()).flatMap(({ ephemeralVolumes }) => ephemeralVolumes);
      expect(volumes.map(({ state }) => state)).toEqual(['stuck', 'stuck', 'ok', 'ok', 'ok', 'ok', 'ok']);
      for (const { error } of volumes.slice(0, 2)) {
        expect(error).toMatchObject({
          code: 'METRICS_TIMED_OUT',
          message: 'the walk of provider "du" took longer than walkTimeoutMs (4000 ms) and was aborted',
        });
      }
      expect(volumes.slice(2).map(({ metrics }) => metrics?.inodesUsed)).toEqual([3n, 3n, 3n, 3n, 3n]);
      // Their threads end: after some time nothing reaches the filesystems any more.
      for (const mount of slow) {
        await vi.waitFor(
          async () => {
            const before = await mount.requests(process.pid);
            await new Promise((resolve) => setTimeout(resolve, 500));
            expect(await mount.requests(process.pid)).toEqual(before);
          },
          { timeout: 30_000 },
        );
      }
    });

    test('are tried twice at most before all healthy ones are measured', { timeout: 60_000 }, async () => {
      const walks: string[] = [];
      const logged = (name: string, path: string): MetricsProvider => {
        const du = new MetricsDu(path);
        return {
          name: du.name,
          getMetrics: async (options) => {
            walks.push(`${name} begins`);
            const reading = await du.getMetrics(options);
            walks.push(`${name} is read`);
            return reading;
          },
        };
      };
      const pod = (name: string, path: string) => ({ name, volumes: { tree: logged(name, path) } });
      const statsProvider = new FakeStatsProvider([
        ...slow.map(({ path }, index) => pod(`slow${String(index)}`, path)),
        ...Array.from({ length: 20 }, (_, index) => pod(`healthy${String(index)}`, smallTree())),
      ]);
      await using analyzer = new FsResourceAnalyzer(statsProvider);
      analyzer.start();
      await vi.waitFor(
        () => {
          const read = walks.filter((each) => /^healthy.* is read$/.test(each));
          expect(read).toHaveLength(20);
        },
        { timeout: 50_000, interval: 20 },
      );
      for (const name of ['slow0', 'slow1']) {
        const begun = walks.filter((each) => each === `${name} begins`).length;
        expect(begun).toBeGreaterThanOrEqual(1);
        expect(begun).toBeLessThanOrEqual(2);
      }
    });
  },
);
