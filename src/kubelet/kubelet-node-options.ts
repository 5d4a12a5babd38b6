import { checkedChoice, checkedObject, checkedOptions, checkedText } from '../options.js';
import type { SummarySource } from './ephemeral-storage.js';
import type { HostPathWay } from './plan-pod.js';
import type { ClaimSource, PodSource } from './sources.js';

/** Options of {@link KubeletNode}. */
export interface KubeletNodeOptions {
  /**
   * The kubelet's root, its --root-dir. A symlink is resolved once, when the root is first read.
   *
   * @defaultValue the first of {@link KUBELET_ROOTS} that is one
   */
  readonly rootDir?: string | undefined;
  /** Where the pods come from: `kubeletPods`, `apiServerPods`, `podsOnDisk`, or an object of that shape. */
  readonly pods: PodSource;
  /**
   * Where claims come from. It is asked only for what the disk does not tell: which of several claims of a
   * pod a folder belongs to.
   *
   * @defaultValue none: such a volume says that its claim is not known
   */
  readonly claims?: ClaimSource | undefined;
  /**
   * How hostPath volumes are measured. `statfs` shows the filesystem that the path is on, `du` the path
   * itself. The path is looked up in this process's own view of the filesystem, which in a container is not
   * the host's.
   *
   * @defaultValue `'unsupported'`, as in the kubelet
   */
  readonly hostPath?: HostPathWay | undefined;
  /**
   * Whose summary has the usage of containers, for {@link KubeletNode.ephemeralStorage}: a `KubeletClient`.
   *
   * @defaultValue none: the sum is not known
   */
  readonly summary?: SummarySource | undefined;
}

const OPTIONS = ['rootDir', 'pods', 'claims', 'hostPath', 'summary'] as const;

/** @throws TypeError for an option that is missing, unknown or wrong */
export function checkedNodeOptions(options: KubeletNodeOptions): KubeletNodeOptions {
  const { rootDir, pods, claims, hostPath, summary } = checkedOptions(options, OPTIONS);
  if (rootDir !== undefined && checkedText('rootDir', rootDir) === '') {
    throw new TypeError('Expected rootDir to be a path, got an empty text');
  }
  checkMethod('pods', pods, 'pods');
  if (claims !== undefined) checkMethod('claims', claims, 'claim');
  if (summary !== undefined) checkMethod('summary', summary, 'statsSummary');
  checkedChoice('hostPath', hostPath, ['unsupported', 'statfs', 'du']);
  return { rootDir, pods, claims, hostPath, summary };
}

function checkMethod<T extends object>(option: string, value: T, method: keyof T & string): void {
  const given: unknown = checkedObject(option, value)[method];
  if (typeof given !== 'function') {
    throw new TypeError(`Expected ${option} to have the method ${method}`);
  }
}
