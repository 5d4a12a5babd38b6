import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MountReader } from '../../../src/kubelet/disk/mount-table.js';
import {
  escapedPlugin,
  podFolders,
  readPodFolder,
  subPathUses,
  unescapedPlugin,
} from '../../../src/kubelet/disk/pod-folder.js';
import { TestMounts } from '../../support/mounts.js';
import { needs } from '../../support/needs.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kvm-pod-folder-'));
  mkdirSync(join(root, 'pods'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

const make = (path: string): string => {
  mkdirSync(join(root, 'pods', path), { recursive: true });
  return join(root, 'pods', path);
};
const read = (uid = 'uid', before?: ReturnType<typeof readPodFolder>) =>
  readPodFolder(root, uid, new MountReader().read(), before);

test.each([
  ['kubernetes.io/csi', 'kubernetes.io~csi'],
  ['acme/fast', 'acme~fast'],
  ['a/b/c', 'a~b~c'],
  ['plain', 'plain'],
])('the plugin %s has the folder %s, and back', (plugin, folder) => {
  expect(escapedPlugin(plugin)).toBe(folder);
  expect(unescapedPlugin(folder)).toBe(plugin);
});

describe("a pod's folder", () => {
  test('has its volumes of both modes, with their plugins', () => {
    make('uid/volumes/kubernetes.io~empty-dir/cache');
    make('uid/volumes/acme~fast/pv-1');
    make('uid/volumeDevices/kubernetes.io~local-volume');
    symlinkSync('/dev/null', join(root, 'pods/uid/volumeDevices/kubernetes.io~local-volume/pv-2'));
    writeFileSync(join(root, 'pods/uid/etc-hosts'), '');
    const { volumes, hasEtcHosts, problems } = read();
    expect(volumes.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      {
        plugin: 'kubernetes.io/empty-dir',
        name: 'cache',
        mode: 'Filesystem',
        path: `${root}/pods/uid/volumes/kubernetes.io~empty-dir/cache`,
      },
      {
        plugin: 'acme/fast',
        name: 'pv-1',
        mode: 'Filesystem',
        path: `${root}/pods/uid/volumes/acme~fast/pv-1`,
      },
      {
        plugin: 'kubernetes.io/local-volume',
        name: 'pv-2',
        mode: 'Block',
        path: `${root}/pods/uid/volumeDevices/kubernetes.io~local-volume/pv-2`,
      },
    ]);
    expect(hasEtcHosts).toBe(true);
    expect(problems).toEqual([]);
  });

  test.each(['a\nb', '..a', '...', '%2e%2e', 'a b', '\u202ea', '~', 'x'.repeat(255), '-rf', '$(x)'])(
    'may hold a volume called %j, which stays what it is',
    (name) => {
      const path = make(`uid/volumes/kubernetes.io~empty-dir/${name}`);
      expect(read().volumes).toEqual([{ plugin: 'kubernetes.io/empty-dir', name, mode: 'Filesystem', path }]);
    },
  );

  test('that is missing has nothing, and that is no problem: the pod may be new', () => {
    expect(read()).toMatchObject({ volumes: [], hasEtcHosts: false, problems: [] });
  });

  test('has files where folders are expected: they hold nothing', () => {
    make('uid');
    writeFileSync(join(root, 'pods/uid/volumes'), '');
    expect(read()).toMatchObject({ volumes: [], problems: [] });
    make('other/volumes');
    writeFileSync(join(root, 'pods/other/volumes/kubernetes.io~csi'), '');
    expect(read('other')).toMatchObject({ volumes: [], problems: [] });
  });

  test('is the same object until something in it changes', () => {
    const csi = make('uid/volumes/kubernetes.io~csi/pv-1');
    writeFileSync(join(csi, 'vol_data.json'), '{"driverName":"a"}');
    const first = read();
    expect(read('uid', first)).toBe(first);
    writeFileSync(join(csi, 'vol_data.json'), '{"driverName":"b"}');
    const second = read('uid', first);
    expect(second.volumes[0]?.volData).toEqual({ driverName: 'b' });
    make('uid/volumes/kubernetes.io~csi/pv-2');
    expect(read('uid', second).volumes).toHaveLength(2);
  });

  test('names who uses parts of a volume', () => {
    make('uid/volume-subpaths/pv-1/main/3');
    make('uid/volume-subpaths/pv-1/init/0');
    make('uid/volume-subpaths/pv-2/main/not a number');
    const mounts = new MountReader().read();
    const uses = subPathUses(readPodFolder(root, 'uid', mounts), mounts, []);
    expect(uses.toSorted((a, b) => a.index - b.index)).toEqual([
      { volume: 'pv-1', container: 'init', index: 0 },
      { volume: 'pv-1', container: 'main', index: 3 },
    ]);
  });
});

test('a symlink, or a file, among the pods is not the folder of one', () => {
  make('uid');
  symlinkSync(join(root, 'pods/uid'), join(root, 'pods/link'));
  writeFileSync(join(root, 'pods/file'), '');
  expect(podFolders(root)).toEqual(['uid']);
});

describe.skipIf(needs({ root: true }))('mounts where none should be', () => {
  test('on a folder that holds volumes: it is not read, and said', () => {
    const mounts = new TestMounts();
    const folder = mounts.newDirectory();
    mkdirSync(join(folder, 'pods/uid/volumes/kubernetes.io~nfs'), { recursive: true });
    mounts.mount(join(folder, 'pods/uid/volumes/kubernetes.io~nfs'), '-t', 'tmpfs', 'tmpfs');
    mkdirSync(join(folder, 'pods/uid/volumes/kubernetes.io~nfs/pv'));
    const { volumes, problems } = readPodFolder(folder, 'uid', new MountReader().read());
    expect(volumes).toEqual([]);
    expect(problems).toEqual([
      `${folder}/pods/uid/volumes/kubernetes.io~nfs is not read: something is mounted on it`,
    ]);
    mounts.close();
  });

  test('on the folder of a CSI volume, where its notes are: they are not read', () => {
    const mounts = new TestMounts();
    const folder = mounts.newDirectory();
    const volume = join(folder, 'pods/uid/volumes/kubernetes.io~csi/pv');
    mkdirSync(volume, { recursive: true });
    mounts.mount(volume, '-t', 'tmpfs', 'tmpfs');
    writeFileSync(join(volume, 'vol_data.json'), '{"driverName":"a","volumeHandle":"b"}');
    expect(readPodFolder(folder, 'uid', new MountReader().read()).volumes).toMatchObject([
      { name: 'pv', volData: 'vol_data.json is not read: something is mounted on the folder that it is in' },
    ]);
    mounts.close();
  });
});
