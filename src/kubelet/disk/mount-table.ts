import { mountOf, parseMountinfo, readMountinfo, visibleMounts, type Mount } from '../../os/mounts.js';

/** The mounts that paths lead to, at one moment. */
export interface MountTable {
  /** What is mounted right at a path without symlinks. */
  at(path: string): Mount | undefined;
  /**
   * Whether something is mounted on a folder that holds volumes, where the kubelet mounts nothing: such a
   * folder may never answer.
   */
  isOddlyMounted(path: string): boolean;
  /**
   * Whether mounts that others make below a path reach this process. They do not if the mount that it is on
   * is private, as in a pod without `mountPropagation: HostToContainer`.
   */
  isPrivate(path: string): boolean;
}

/** How often mounts may change between two readings, before the last is taken as it is. */
const MOST_READINGS = 10;

/**
 * Reads the kernel's list of mounts. One reading may miss a mount while others come and go, so a list counts
 * when two readings agree, as in the kubelet (k8s.io/utils ConsistentRead). An unchanged list agrees with the
 * one before it and is not parsed again.
 */
export class MountReader {
  #text = '';
  #table: MountTable | undefined;
  #readMs = -Infinity;

  /**
   * @param maxAgeMs - for how long the last reading counts as now
   * @throws MetricsError as `mounts()` does
   */
  read(maxAgeMs = 0): MountTable {
    if (this.#table !== undefined && performance.now() - this.#readMs < maxAgeMs) return this.#table;
    let text = readMountinfo('utf8');
    for (let readings = 1; text !== this.#text && readings < MOST_READINGS; readings += 1) {
      this.#text = text;
      this.#table = undefined;
      text = readMountinfo('utf8');
    }
    this.#readMs = performance.now();
    return (this.#table ??= tableOf(text));
  }
}

/** The folders that {@link MountTable.isOddlyMounted} is about, below any root. */
const HOLDS_VOLUMES =
  /\/pods\/[^/]+(\/(volumes|volumeDevices)(\/[^/]+)?|\/volume-subpaths(\/[^/]+){0,2}|\/plugins.*)?$/;

function tableOf(text: string): MountTable {
  const visible = visibleMounts(parseMountinfo(text));
  const byPoint = new Map(visible.map((mount) => [mount.mountPoint, mount]));
  const odd = new Set(
    visible.map(({ mountPoint }) => mountPoint).filter((point) => HOLDS_VOLUMES.test(point)),
  );
  return {
    at: (path) => byPoint.get(path),
    isOddlyMounted: (path) => odd.size > 0 && odd.has(path),
    isPrivate: (path) => {
      const mount = mountOf(path, visible);
      // The kubelet makes its root a shared mount when it starts. What is on `/` is nobody's bind mount.
      if (mount === undefined || mount.mountPoint === '/') return false;
      const line = text.split('\n').find((each) => each.startsWith(`${String(mount.id)} `));
      return line !== undefined && !/ (shared|master):\d+ .*- /.test(line);
    },
  };
}
