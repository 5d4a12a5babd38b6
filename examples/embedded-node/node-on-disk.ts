import { mounts } from 'kube-volume-metrics';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CsiStorage } from './csi-storage.js';
import { Disks } from './disks.js';
import { KubeletFolder, writeAtomically } from './kubelet-folder.js';
import { BACKUP, DATABASE, WEB } from './pods.js';
import type { UndoList } from './undo-list.js';

/** What there is of the node besides what is found. */
export interface NodeOnDisk {
  /** The temporary folder that everything is in. */
  readonly folder: string;
  /** The kubelet's root. */
  readonly rootDir: string;
  /** Why nothing could be mounted; undefined when it could. */
  readonly mountObstacle: string | undefined;
  /** The device of the block volume, or an image file. */
  readonly journalDevice: string;
  /** Volumes that their pods write into. */
  readonly written: readonly string[];
}

/**
 * Makes the node. These folders are new and on a disk that answers, so node:fs may work on them; the volumes
 * of a real node are touched only by the package.
 *
 * @param undo - gets what has to go again
 * @param stop - ends it half way: it rejects with the signal's reason
 */
export async function makeNode(undo: UndoList, stop: AbortSignal): Promise<NodeOnDisk> {
  // As the kernel lists it where something is mounted.
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'kvm-node-')));
  undo.add(folder, () => removeFolder(folder));
  const kubelet = new KubeletFolder(join(folder, 'kubelet'));
  const disks = new Disks(undo);
  const disk = (name: string): string => join(folder, 'disks', name);

  // An emptyDir is a directory on the node's own disk.
  const cache = await kubelet.volume(WEB.metadata.uid, 'empty-dir', 'cache');
  await mkdir(join(cache, 'pages'), { recursive: true });
  await writeFile(join(cache, 'pages/index.html'), Buffer.alloc(300_000, 'x'));

  // In memory, it is a tmpfs of its own.
  stop.throwIfAborted();
  const scratch = await kubelet.volume(WEB.metadata.uid, 'empty-dir', 'scratch');
  await disks.filesystem(scratch, 16);
  await writeFile(join(scratch, 'sort.tmp'), Buffer.alloc(2_000_000));

  // So are secrets and projected volumes, which only the kubelet writes to.
  const certificate = await kubelet.volume(WEB.metadata.uid, 'secret', 'certificate');
  await disks.filesystem(certificate, 16);
  await writeAtomically(certificate, { 'tls.crt': 'not a certificate\n', 'tls.key': 'not a key\n' });
  const apiAccess = await kubelet.volume(WEB.metadata.uid, 'projected', 'api-access');
  await disks.filesystem(apiAccess, 16);
  await writeAtomically(apiAccess, { token: 'not a token\n', 'ca.crt': '\n', namespace: 'shop\n' });

  // A hostPath is a folder of the node, wherever that is, and nothing is to be made.

  // A local volume is a disk of the node, shown to one pod.
  stop.throwIfAborted();
  await disks.filesystem(disk('local'), 64);
  const database = await kubelet.volume(DATABASE.metadata.uid, 'local-volume', 'pv-data');
  await disks.bind(disk('local'), database);
  await writeFile(join(database, 'table.db'), Buffer.alloc(5_000_000));

  // A raw block volume is a device, which the kubelet shows in a folder of its own, and the pod has a link to
  // it.
  stop.throwIfAborted();
  const journalDevice = await disks.raw(disk('journal.img'), 32);
  const journal = await kubelet.device(DATABASE.metadata.uid, 'local-volume', 'pv-journal');
  await disks.bindDevice(journalDevice, journal);

  // CSI volumes are their drivers' affair.
  const storage = async (name: string, mib: number): Promise<CsiStorage> => {
    stop.throwIfAborted();
    await disks.filesystem(disk(name), mib);
    const placeBy = disks.obstacle === undefined ? 'mount' : 'symlink';
    return await CsiStorage.start({ name, disk: disk(name), kubelet, placeBy }, undo);
  };
  const ssd = await storage('ssd.csi.example', 64);
  const site = await ssd.publish({ podUid: WEB.metadata.uid, name: 'pv-site' });
  await writeFile(join(site, 'index.html'), Buffer.alloc(1_000_000));
  const tape = await storage('tape.csi.example', 256);
  const abnormal = 'two of the three copies are lost';
  const archive = await tape.publish({ podUid: BACKUP.metadata.uid, name: 'pv-archive', abnormal });
  await writeFile(join(archive, 'monday.tar'), Buffer.alloc(20_000_000));
  stop.throwIfAborted();

  return {
    folder,
    rootDir: kubelet.path,
    mountObstacle: disks.obstacle,
    journalDevice,
    written: [cache, database, site],
  };
}

async function removeFolder(folder: string): Promise<void> {
  const inside = (await mounts()).find(({ mountPoint }) => mountPoint.startsWith(`${folder}/`));
  // Its files would go, and not only the way to them.
  if (inside !== undefined) throw new Error(`${inside.mountPoint} is still mounted`);
  await rm(folder, { recursive: true, force: true });
}
