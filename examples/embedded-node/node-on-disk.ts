import { mounts } from 'kube-volume-metrics';
import type { CsiVolume } from 'kube-volume-metrics/csi';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CsiStorage } from './csi-storage.js';
import { Disks } from './disks.js';
import { KubeletFolder, writeAtomically } from './kubelet-folder.js';
import { BACKUP, DATABASE, WEB } from './pods.js';
import type { UndoList } from './undo-list.js';

/** Where the node's volumes are, as a kubelet would know it. */
export interface NodeOnDisk {
  /** The temporary folder that everything is in. */
  readonly folder: string;
  /** Why nothing could be mounted; undefined when it could. */
  readonly mountObstacle: string | undefined;
  readonly cache: string;
  readonly certificate: string;
  readonly apiAccess: string;
  readonly database: string;
  /** A link to the device, or to the image file. */
  readonly journal: string;
  /** What it leads to. */
  readonly journalDevice: string;
  readonly site: { readonly storage: CsiStorage; readonly volume: CsiVolume };
  readonly archive: { readonly storage: CsiStorage; readonly volume: CsiVolume };
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

  // Secrets and projected volumes are directories too, which only the kubelet writes to.
  const certificate = await kubelet.volume(WEB.metadata.uid, 'secret', 'certificate');
  await writeAtomically(certificate, { 'tls.crt': 'not a certificate\n', 'tls.key': 'not a key\n' });
  const apiAccess = await kubelet.volume(WEB.metadata.uid, 'projected', 'api-access');
  await writeAtomically(apiAccess, { token: 'not a token\n', 'ca.crt': '\n', namespace: 'shop\n' });

  // A hostPath is a folder of the node, wherever that is, and nothing is to be made.

  // A local volume is a disk of the node, shown to one pod.
  stop.throwIfAborted();
  await disks.filesystem(disk('local'), 64);
  const database = await kubelet.volume(DATABASE.metadata.uid, 'local-volume', 'pv-data');
  await disks.bind(disk('local'), database);
  await writeFile(join(database, 'table.db'), Buffer.alloc(5_000_000));

  // A raw block volume is a device, and its pod has a link to it.
  stop.throwIfAborted();
  const journalDevice = await disks.raw(disk('journal.img'), 32);
  const journal = await kubelet.device(DATABASE.metadata.uid, 'local-volume', 'pv-journal');
  await symlink(journalDevice, journal);

  // CSI volumes are their drivers' affair.
  const storage = async (name: string, mib: number): Promise<CsiStorage> => {
    stop.throwIfAborted();
    await disks.filesystem(disk(name), mib);
    const placeBy = disks.obstacle === undefined ? 'mount' : 'symlink';
    return await CsiStorage.start({ name, disk: disk(name), kubelet, placeBy }, undo);
  };
  const ssd = await storage('ssd.csi.example', 64);
  const site = await ssd.publish({ podUid: WEB.metadata.uid, name: 'pv-site' });
  await writeFile(join(site.volumePath, 'index.html'), Buffer.alloc(1_000_000));
  const tape = await storage('tape.csi.example', 256);
  const abnormal = 'two of the three copies are lost';
  const archive = await tape.publish({ podUid: BACKUP.metadata.uid, name: 'pv-archive', abnormal });
  await writeFile(join(archive.volumePath, 'monday.tar'), Buffer.alloc(20_000_000));
  stop.throwIfAborted();

  return {
    folder,
    mountObstacle: disks.obstacle,
    cache,
    certificate,
    apiAccess,
    database,
    journal,
    journalDevice,
    site: { storage: ssd, volume: site },
    archive: { storage: tape, volume: archive },
  };
}

async function removeFolder(folder: string): Promise<void> {
  const inside = (await mounts()).find(({ mountPoint }) => mountPoint.startsWith(`${folder}/`));
  // Its files would go, and not only the way to them.
  if (inside !== undefined) throw new Error(`${inside.mountPoint} is still mounted`);
  await rm(folder, { recursive: true, force: true });
}
