import { createHash } from 'node:crypto';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from './commands.js';
import type { Log } from './log.js';
import type { VolumeKind } from './volume-capabilities.js';

/** A volume of this driver. */
export interface Volume {
  readonly id: string;
  /** As the orchestrator asked for it. */
  readonly name: string;
  /** Whether it belongs to one pod, came with its publishing, and goes with it. */
  readonly isInline: boolean;
  readonly kind: VolumeKind;
  readonly capacityBytes: bigint;
  readonly parameters: Readonly<Record<string, string>>;
  /** What is kept of the volume: its description, its data, the marker that makes it abnormal. */
  readonly folder: string;
  /** The directory that is the volume, or the file behind the block device. */
  readonly dataPath: string;
}

/** How a new volume is described. */
export type NewVolume = Pick<Volume, 'name' | 'isInline' | 'kind' | 'capacityBytes' | 'parameters'>;

const DESCRIPTION = 'volume.json';
const NEW = '.new-';
const GONE = '.gone-';

/** How long a caller waits for a deleted volume's data to be removed. */
const REMOVAL_MS = 5_000;

/**
 * The id of the volume with a name: the same one each time, so that a CreateVolume that was repeated finds
 * what it made before. It is all that ever becomes part of a path.
 */
export function volumeIdOf(name: string): string {
  return `vol-${shortHash(name)}`;
}

/** The folder of a volume. The id of an inline volume is the orchestrator's choice, and no name of a folder. */
function folderNameOf({ name, isInline }: NewVolume): string {
  return isInline ? `inline-${shortHash(name)}` : volumeIdOf(name);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/**
 * The volumes, each in a folder of the data root: what they were survives the process, whenever it ends. The
 * data root is the driver's own, on a disk that answers; what is in a volume is left to commands.
 */
export class VolumeStore {
  readonly #folder: string;
  readonly #log: Log;
  readonly #volumes = new Map<string, Volume>();
  readonly #leftovers: string[] = [];

  private constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Finds the volumes of a data root, which is made when it is not there. */
  static async open(dataRoot: string, log: Log): Promise<VolumeStore> {
    await mkdir(join(dataRoot, 'volumes'), { recursive: true, mode: 0o700 });
    // As the kernel lists it where it is mounted.
    const store = new VolumeStore(join(await realpath(dataRoot), 'volumes'), log);
    await store.#load();
    return store;
  }

  /** Removes what a process that died before this one was opened left half done. */
  async removeLeftovers(): Promise<void> {
    for (const folder of this.#leftovers.splice(0)) await this.#clear(folder);
  }

  get(volumeId: string): Volume | undefined {
    return this.#volumes.get(volumeId);
  }

  get size(): number {
    return this.#volumes.size;
  }

  /** Makes a volume; it is there as a whole or not at all. */
  async create(described: NewVolume): Promise<Volume> {
    const folder = await mkdtemp(join(this.#folder, NEW));
    const volume = this.#volume(described);
    try {
      const dataPath = join(folder, dataNameOf(described.kind));
      if (described.kind === 'directory') await makeDirectory(dataPath);
      else await makeImage(dataPath, described.capacityBytes);
      const { abnormal } = described.parameters;
      if (abnormal !== undefined) await writeFile(join(folder, 'abnormal'), abnormal);
      const text = JSON.stringify({ ...described, capacityBytes: String(described.capacityBytes) });
      await writeFile(join(folder, DESCRIPTION), text, { flush: true });
      await rename(folder, volume.folder);
    } catch (error) {
      await this.#clear(folder);
      throw error;
    }
    this.#volumes.set(volume.id, volume);
    return volume;
  }

  /** Removes a volume at once, and its data as soon as possible. */
  async remove(volume: Volume): Promise<void> {
    const grave = await mkdtemp(join(this.#folder, GONE));
    await rename(volume.folder, grave);
    this.#volumes.delete(volume.id);
    await this.#clear(grave);
  }

  async #load(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const folder = join(this.#folder, name);
      if (name.startsWith(NEW) || name.startsWith(GONE)) {
        this.#leftovers.push(folder);
        continue;
      }
      try {
        const described = parseDescription(await readFile(join(folder, DESCRIPTION), 'utf8'));
        if (folderNameOf(described) !== name) throw new Error('it is of another volume');
        const volume = this.#volume(described);
        this.#volumes.set(volume.id, volume);
      } catch (error) {
        // One that is damaged is no reason to withhold the others.
        this.#log(`${folder} is left alone, it has no description of a volume: ${String(error)}`);
      }
    }
  }

  /** Removes what is no volume. Where that is not possible it is tried again at the next start. */
  async #clear(folder: string): Promise<void> {
    try {
      await removeTree(folder, REMOVAL_MS);
    } catch (error) {
      this.#log(`${folder} cannot be removed: ${String(error)}`);
    }
  }

  #volume(described: NewVolume): Volume {
    const { name, isInline, kind } = described;
    const folder = join(this.#folder, folderNameOf(described));
    return {
      ...described,
      id: isInline ? name : volumeIdOf(name),
      folder,
      dataPath: join(folder, dataNameOf(kind)),
    };
  }
}

function dataNameOf(kind: VolumeKind): string {
  return kind === 'directory' ? 'data' : 'image';
}

/** Every user of the volume may write to it; the data root above keeps everyone else out. */
async function makeDirectory(path: string): Promise<void> {
  await mkdir(path);
  // Past the umask.
  await chmod(path, 0o777);
}

/** As large as the volume, and sparse: it takes room as it is written to. */
async function makeImage(path: string, bytes: bigint): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(Number(bytes));
  } finally {
    await file.close();
  }
}

function parseDescription(text: string): NewVolume {
  const described = JSON.parse(text) as Record<keyof NewVolume, unknown>;
  const { name, kind, capacityBytes, parameters } = described;
  if (typeof name !== 'string' || typeof capacityBytes !== 'string') throw new Error('it is not complete');
  if (kind !== 'directory' && kind !== 'block') throw new Error('it has no kind of volume');
  return {
    name,
    isInline: described.isInline === true,
    kind,
    capacityBytes: BigInt(capacityBytes),
    parameters: (parameters ?? {}) as Record<string, string>,
  };
}
