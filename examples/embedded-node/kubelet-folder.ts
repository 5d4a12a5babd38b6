import { createHash } from 'node:crypto';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NODE_NAME } from './pods.js';

/** What a kubelet keeps in /var/lib/kubelet, as far as it concerns volumes. */
export class KubeletFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Where a volume of a pod is, its parent made. The plugin is as the kubelet names it, such as `empty-dir`.
   */
  async volume(podUid: string, plugin: string, name: string): Promise<string> {
    const parent = join(this.path, 'pods', podUid, 'volumes', `kubernetes.io~${plugin}`);
    return join(await made(parent), name);
  }

  /**
   * The same of a CSI volume: the driver puts it there, and the kubelet's note beside it says which driver,
   * and what the driver calls the volume.
   */
  async csiVolume(podUid: string, name: string, driverName: string, volumeHandle: string): Promise<string> {
    const folder = await made(await this.volume(podUid, 'csi', name));
    const note = {
      driverName,
      volumeHandle,
      specVolID: name,
      nodeName: NODE_NAME,
      attachmentID: `csi-${name}`,
    };
    const text = JSON.stringify({ ...note, volumeLifecycleMode: 'Persistent' });
    await writeFile(join(folder, 'vol_data.json'), `${text}\n`);
    return join(folder, 'mount');
  }

  /** Where the device of a raw block volume is to be shown; its pod has a link to it. */
  async device(podUid: string, plugin: string, name: string): Promise<string> {
    const folder = await made(join(this.path, `plugins/kubernetes.io~${plugin}/volumeDevices`, name));
    const device = join(folder, podUid);
    const parent = join(this.path, 'pods', podUid, 'volumeDevices', `kubernetes.io~${plugin}`);
    await symlink(device, join(await made(parent), name));
    return device;
  }

  /** Where drivers register, made. */
  async registry(): Promise<string> {
    return await made(join(this.path, 'plugins_registry'));
  }

  /** Where a CSI driver listens, its parent made. */
  async socket(driver: string): Promise<string> {
    return join(await made(join(this.path, 'plugins', driver)), 'csi.sock');
  }

  /** Where a CSI volume is staged: made, as CSI has it. */
  async staging(driver: string, volumeId: string): Promise<string> {
    const id = createHash('sha256').update(volumeId).digest('hex');
    return await made(join(this.path, 'plugins/kubernetes.io/csi', driver, id, 'globalmount'));
  }
}

/**
 * Writes files as the kubelet writes those of secrets, config maps and projected volumes, all of them
 * changing at once: they are in a folder named after the time, `..data` leads to it, and what a container
 * opens are links through `..data`.
 */
export async function writeAtomically(
  volume: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const time = `..${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '_').replace('T', '_')}.0001`;
  await mkdir(join(volume, time), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(volume, time, name), text);
  await symlink(time, join(volume, '..data_tmp'));
  await rename(join(volume, '..data_tmp'), join(volume, '..data'));
  for (const name of Object.keys(files)) await symlink(join('..data', name), join(volume, name));
}

async function made(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return folder;
}
