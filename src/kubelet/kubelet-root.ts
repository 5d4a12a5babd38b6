import { readdirSync, realpathSync, statSync } from 'node:fs';
import { errorText, MetricsError, propertyOf } from '../errors.js';
import { escapeControls } from '../escape.js';

/**
 * Where distributions keep the kubelet's files: upstream and most others, k0s, MicroK8s, and k3s before its
 * version 1.0.
 */
export const KUBELET_ROOTS: readonly string[] = [
  '/var/lib/kubelet',
  '/var/lib/k0s/kubelet',
  '/var/snap/microk8s/common/var/lib/kubelet',
  '/var/lib/rancher/k3s/agent/kubelet',
];

/**
 * Finds the kubelet's root among the usual places: the first that has the folders `pods` and
 * `plugins_registry`.
 *
 * @param candidates - where to look
 * @returns the path as it is given there; it may be a symlink
 * @throws MetricsError METRICS_NOT_FOUND if none is a kubelet's root
 */
export function findKubeletRoot(candidates: readonly string[] = KUBELET_ROOTS): string {
  const found = candidates.find((each) => isFolder(`${each}/pods`) && isFolder(`${each}/plugins_registry`));
  if (found !== undefined) return found;
  const text = `no kubelet's root is at ${candidates.map(escapeControls).join(', ')}: set rootDir to the --root-dir of this node's kubelet`;
  throw new MetricsError('METRICS_NOT_FOUND', text);
}

/**
 * The kubelet's root without symlinks, because that is how the kernel lists mounts, and the path that drivers
 * know (k3s-io/k3s#840).
 *
 * @throws MetricsError METRICS_NOT_FOUND if there is none or it is not a kubelet's; METRICS_PROVIDER_FAILED
 * if it cannot be read
 */
export function resolvedRoot(rootDir: string): string {
  const shown = escapeControls(rootDir);
  const fail = (code: MetricsError['code'], text: string, cause?: unknown): never => {
    const advice = "rootDir is the --root-dir of this node's kubelet, by default /var/lib/kubelet";
    throw new MetricsError(code, `${text}: ${advice}`, {
      path: rootDir,
      ...(cause !== undefined && { cause }),
    });
  };
  try {
    const root = realpathSync(rootDir);
    readdirSync(`${root}/pods`);
    return root;
  } catch (error) {
    const code = propertyOf(error, 'code');
    if (code === 'ENOTDIR') {
      return fail('METRICS_NOT_FOUND', `${shown} is not a kubelet's root: it, or pods in it, is no folder`);
    }
    if (code !== 'ENOENT') {
      const text = `${shown} cannot be read (${errorText(error)}); it needs root, or CAP_DAC_READ_SEARCH`;
      return fail('METRICS_PROVIDER_FAILED', text, error);
    }
    const what = isFolder(rootDir) ? "is not a kubelet's root: it has no folder pods" : 'does not exist';
    return fail('METRICS_NOT_FOUND', `${shown} ${what}`);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
