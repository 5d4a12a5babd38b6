import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KubeletNode } from '../../src/kubelet/kubelet-node.js';
import { findKubeletRoot, KUBELET_ROOTS, resolvedRoot } from '../../src/kubelet/kubelet-root.js';
import { podsOnDisk } from '../../src/kubelet/pods-on-disk.js';
import { podSource } from './support/node-pods.js';

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-root-')));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const makeRoot = (name: string): string => {
  for (const each of ['pods', 'plugins_registry']) mkdirSync(join(folder, name, each), { recursive: true });
  return join(folder, name);
};

describe("a kubelet's root", () => {
  test('is looked for where upstream, k0s, MicroK8s and old k3s have it', () => {
    expect(KUBELET_ROOTS).toEqual([
      '/var/lib/kubelet',
      '/var/lib/k0s/kubelet',
      '/var/snap/microk8s/common/var/lib/kubelet',
      '/var/lib/rancher/k3s/agent/kubelet',
    ]);
  });

  test('is the first candidate that has pods and plugins_registry', () => {
    mkdirSync(join(folder, 'half/pods'), { recursive: true });
    writeFileSync(join(folder, 'file'), '');
    const found = makeRoot('k0s');
    const candidates = ['missing', 'half', 'file'].map((name) => join(folder, name));
    expect(findKubeletRoot([...candidates, found, makeRoot('other')])).toBe(found);
    expect(() => findKubeletRoot(candidates)).toThrow(
      `no kubelet's root is at ${candidates.join(', ')}: set rootDir to the --root-dir of this node's kubelet`,
    );
  });

  test('may be a symlink, which is resolved', () => {
    const real = makeRoot('real');
    symlinkSync(real, join(folder, 'link'));
    expect(findKubeletRoot([join(folder, 'link')])).toBe(join(folder, 'link'));
    expect(resolvedRoot(join(folder, 'link'))).toBe(real);
  });
});

const ADVICE = "rootDir is the --root-dir of this node's kubelet, by default /var/lib/kubelet";

describe('a root that cannot be used is refused by each listing, and used once it can be', () => {
  test.each([
    ['missing', (): void => undefined, 'METRICS_NOT_FOUND', 'does not exist'],
    [
      'a file',
      () => {
        writeFileSync(join(folder, 'root'), '');
      },
      'METRICS_NOT_FOUND',
      "is not a kubelet's root: it, or pods in it, is no folder",
    ],
    [
      "not a kubelet's",
      () => {
        mkdirSync(join(folder, 'root'));
      },
      'METRICS_NOT_FOUND',
      "is not a kubelet's root: it has no folder pods",
    ],
    [
      'a symlink to itself',
      () => {
        symlinkSync('root', join(folder, 'root'));
      },
      'METRICS_PROVIDER_FAILED',
      'cannot be read',
    ],
  ] as const)('%s', async (_, make, code, text) => {
    make();
    const rootDir = join(folder, 'root');
    const node = new KubeletNode({ rootDir, pods: podSource([]) });
    const refused = { code, path: rootDir, message: expect.stringContaining(`${rootDir} ${text}`) as string };
    await expect(node.getPods()).rejects.toMatchObject(refused);
    await expect(node.getPods()).rejects.toThrow(ADVICE);
    await expect(podsOnDisk(rootDir).pods()).rejects.toMatchObject(refused);
    rmSync(rootDir, { force: true, recursive: true });
    makeRoot('root');
    await expect(node.getPods()).resolves.toEqual([]);
    node.close();
  });
});

test('a root may have no plugins_registry, and then says so', async () => {
  mkdirSync(join(folder, 'root/pods'), { recursive: true });
  const node = new KubeletNode({ rootDir: join(folder, 'root'), pods: podSource([]) });
  await node.getPods();
  expect(node.warnings()).toEqual([
    `the CSI drivers are not known: ${folder}/root/plugins_registry: it does not exist`,
  ]);
  node.close();
});
