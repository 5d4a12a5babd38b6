import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtNode, NodeProcess } from '../examples/embedded-node-process.js';
import { needs } from '../support/needs.js';
import { PrometheusProcess } from '../support/prometheus-process.js';
import { dropInConfiguration } from './drop-in-configuration.js';
import { dashboardQueries, type ClaimNumbers } from './persistent-volumes-dashboard.js';

/**
 * On a disk of its own, and nobody writes to it; by root only, because another's lies on a disk that many
 * write to.
 */
const CLAIM = 'archive';

describe.skipIf(needs({ root: true, programs: ['prometheus', 'promtool'] }))(
  'a Prometheus server that scrapes the embedded node',
  () => {
    let node: NodeProcess;
    let prometheus: PrometheusProcess;
    let address: string;

    beforeAll(async () => {
      node = new NodeProcess(process.execPath, [builtNode(), '--serve', '--port', '0']);
      address = await node.address();
      prometheus = await PrometheusProcess.start(dropInConfiguration(new URL(address).host));
      await prometheus.until('kubelet_volume_stats_capacity_bytes', (found) => found.length > 0);
    });

    afterAll(async () => {
      await prometheus?.close();
      await node?.close();
    });

    test.each(dashboardQueries('backup', CLAIM))(
      'answers the dashboard: %s',
      async (_title, query, expected) => {
        const result = await prometheus.query(query);
        expect(result).toHaveLength(1);
        expect(Number(result[0]?.value[1])).toBeCloseTo(expected(archiveOnDisk()), 9);
      },
    );

    test('knows each claim, also one of which only the size is known', async () => {
      const claims = (await prometheus.query('kubelet_volume_stats_capacity_bytes{job="kubelet"}')).map(
        ({ metric }) => `${metric['namespace']!}/${metric['persistentvolumeclaim']!}`,
      );
      expect(claims.sort()).toEqual([
        'backup/archive',
        'shop/data-database-0',
        'shop/journal-database-0',
        'shop/site-web-0',
      ]);
      for (const [title, query] of dashboardQueries('shop', 'journal-database-0')) {
        expect(await prometheus.query(query), title).toEqual([]);
      }
    });

    test('sees which claim is not well', async () => {
      const abnormal = await prometheus.query('kubelet_volume_stats_health_status_abnormal == 1');
      expect(abnormal.map(({ metric }) => metric['persistentvolumeclaim'])).toEqual([CLAIM]);
    });

    test('sees a volume fill', async () => {
      const used = 'kubelet_volume_stats_used_bytes{persistentvolumeclaim="site-web-0"}';
      await prometheus.until(`changes(${used}[1m]) > 0`, (found) => found.length === 1);
    });

    test('has nothing to complain of, nor has promtool', async () => {
      expect((await prometheus.query('up{job="kubelet"}')).map(({ value }) => value[1])).toEqual(['1']);
      const input = await (await fetch(`${address}/metrics`)).text();
      expect(execFileSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })).toBe('');
    });

    /** What the kernel says, by another way than that of the driver. */
    function archiveOnDisk(): ClaimNumbers {
      const { bsize, blocks, bavail, files, ffree } = statfsSync(node.path('disks/tape.csi.example'));
      return {
        capacity: blocks * bsize,
        available: bavail * bsize,
        inodes: files,
        inodesUsed: files - ffree,
      };
    }
  },
);
