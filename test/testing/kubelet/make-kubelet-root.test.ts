import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mounts } from '../../../src/os/mounts.js';
import { makeKubeletRoot } from '../../../src/testing/kubelet/index.js';
import { apiPod, boundVolume, claimed } from '../../kubelet/support/node-pods.js';
import { needs } from '../../support/needs.js';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-make-root-')));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const POD = apiPod(
  'p',
  [
    { name: 'data', emptyDir: {} },
    { name: 'sec', secret: {} },
    { name: 'inline', csi: { driver: 'fake.example' } },
    claimed('fs'),
    claimed('disk'),
    claimed('unbound'),
  ],
  {
    containers: [
      {
        name: 'main',
        volumeMounts: [
          { name: 'data', subPath: 'x' },
          { name: 'sec' },
          { name: 'inline' },
          { name: 'fs', subPath: 'y' },
          { name: 'unbound' },
        ],
        volumeDevices: [{ name: 'disk' }],
      },
    ],
  },
);
const csi = (name: string, claim: string, more: object = {}) =>
  boundVolume(name, claim, { csi: { driver: 'fake.example', volumeHandle: `of-${name}` }, ...more });
const VOLUMES = [csi('pv-fs', 'fs-claim'), csi('pv-disk', 'disk-claim', { volumeMode: 'Block' })];

describe('makeKubeletRoot without mounts', () => {
  test('makes the folders, markers, notes and links that the kubelet makes', () => {
    using root = makeKubeletRoot(join(folder, 'kubelet'), [POD], {
      persistentVolumes: VOLUMES,
      mount: false,
    });
    expect(root).toMatchObject({ rootDir: join(folder, 'kubelet'), isMounted: false });
    const all = readdirSync(root.rootDir, { recursive: true, encoding: 'utf8' }).sort();
    const files = all.filter((each) => !all.some((other) => other.startsWith(`${each}/`)));
    expect(files).toEqual([
      expect.stringMatching(/^plugins\/kubernetes\.io\/csi\/fake\.example\/[0-9a-f]{64}\/globalmount$/),
      expect.stringMatching(/^plugins\/kubernetes\.io\/csi\/fake\.example\/[0-9a-f]{64}\/vol_data\.json$/),
      'plugins/kubernetes.io/csi/volumeDevices/publish/pv-disk/p-uid',
      'plugins/kubernetes.io/csi/volumeDevices/pv-disk/data/vol_data.json',
      'plugins/kubernetes.io/csi/volumeDevices/pv-disk/dev/p-uid',
      'plugins/kubernetes.io/csi/volumeDevices/staging/pv-disk',
      'plugins_registry',
      'pods/p-uid/containers/main',
      'pods/p-uid/etc-hosts',
      'pods/p-uid/plugins/kubernetes.io~empty-dir/data/ready',
      'pods/p-uid/plugins/kubernetes.io~empty-dir/wrapped_sec/ready',
      'pods/p-uid/volume-subpaths/data/main/0',
      'pods/p-uid/volume-subpaths/pv-fs/main/3',
      'pods/p-uid/volumeDevices/kubernetes.io~csi/pv-disk',
      'pods/p-uid/volumes/kubernetes.io~csi/inline/mount',
      'pods/p-uid/volumes/kubernetes.io~csi/inline/vol_data.json',
      'pods/p-uid/volumes/kubernetes.io~csi/pv-fs/mount',
      'pods/p-uid/volumes/kubernetes.io~csi/pv-fs/vol_data.json',
      'pods/p-uid/volumes/kubernetes.io~empty-dir/data',
      'pods/p-uid/volumes/kubernetes.io~secret/sec',
    ]);
    const notes = (path: string): unknown => JSON.parse(readFileSync(join(root.rootDir, path), 'utf8'));
    expect(notes('pods/p-uid/volumes/kubernetes.io~csi/pv-fs/vol_data.json')).toEqual({
      attachmentID: expect.stringMatching(/^csi-[0-9a-f]{64}$/) as string,
      driverName: 'fake.example',
      nodeName: 'node1',
      specVolID: 'pv-fs',
      volumeHandle: 'of-pv-fs',
      volumeLifecycleMode: 'Persistent',
    });
    expect(readlinkSync(join(root.rootDir, 'pods/p-uid/volumeDevices/kubernetes.io~csi/pv-disk'))).toBe(
      join(root.rootDir, 'plugins/kubernetes.io/csi/volumeDevices/publish/pv-disk/p-uid'),
    );
  });

  test('makes nothing of the volumes of a pod that has ended', () => {
    using root = makeKubeletRoot(
      join(folder, 'kubelet'),
      [apiPod('p', [{ name: 'd', emptyDir: {} }], { phase: 'Failed' })],
      { mount: false },
    );
    expect(readdirSync(join(root.rootDir, 'pods/p-uid/volumes'))).toEqual([]);
  });

  test('refuses what it would have to mix with', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => makeKubeletRoot(folder, [])).toThrow(`${folder} is not empty`);
    expect(existsSync(join(folder, 'file'))).toBe(true);
    expect(() => makeKubeletRoot(join(folder, 'x'), 'pods' as never)).toThrow(
      'Expected pods to be a list, got a string',
    );
    expect(() => makeKubeletRoot(join(folder, 'x'), [], { mounts: true } as never)).toThrow(
      'Unknown option "mounts"',
    );
  });

  test('is gone when it is closed', () => {
    const root = makeKubeletRoot(join(folder, 'kubelet'), [POD], { mount: false });
    root.close();
    expect(existsSync(root.rootDir)).toBe(false);
  });
});

describe.skipIf(needs({ root: true }))('makeKubeletRoot with mounts', () => {
  const mounted = async (root: string): Promise<string[]> =>
    (await mounts())
      .filter(({ mountPoint }) => mountPoint.startsWith(`${root}/`))
      .map(({ mountPoint, fsType }) => `${mountPoint.slice(root.length)} ${fsType}`)
      .sort();

  test('mounts what the kubelet mounts, from the sources that it was given, and unmounts all', async () => {
    const source = join(folder, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'inside'), '');
    const root = makeKubeletRoot(join(folder, 'kubelet'), [POD], {
      persistentVolumes: VOLUMES,
      sources: { 'pv-fs': source, 'pv-disk': '/dev/null' },
    });
    expect(root.isMounted).toBe(true);
    const points = (await mounted(root.rootDir)).map((each) => each.split(' ')[0]);
    expect(points).toEqual([
      '/plugins/kubernetes.io/csi/volumeDevices/publish/pv-disk/p-uid',
      '/plugins/kubernetes.io/csi/volumeDevices/pv-disk/dev/p-uid',
      '/pods/p-uid/volumes/kubernetes.io~csi/inline/mount',
      '/pods/p-uid/volumes/kubernetes.io~csi/pv-fs/mount',
      '/pods/p-uid/volumes/kubernetes.io~secret/sec',
    ]);
    expect(readdirSync(`${root.rootDir}/pods/p-uid/volumes/kubernetes.io~csi/pv-fs/mount`)).toEqual([
      'inside',
    ]);
    root.close();
    expect(await mounted(root.rootDir)).toEqual([]);
    expect(existsSync(root.rootDir)).toBe(false);
    expect(existsSync(join(source, 'inside'))).toBe(true);
  });

  test('a mount that fails undoes the others', async () => {
    const sources = { 'pv-fs': join(folder, 'missing') };
    expect(() =>
      makeKubeletRoot(join(folder, 'kubelet'), [POD], { persistentVolumes: VOLUMES, sources }),
    ).toThrow('mount');
    expect(await mounted(join(folder, 'kubelet'))).toEqual([]);
    expect(existsSync(join(folder, 'kubelet'))).toBe(false);
  });
});
