import { KubeletClient, KubeletNode, kubeletPods } from 'kube-volume-metrics/kubelet';
import { FakeKubelet } from 'kube-volume-metrics/testing/kubelet';
import { AGENT, BACKUP, DATABASE, NODE_NAME, WEB } from './pods.js';
import type { UndoList } from './undo-list.js';

/**
 * The pods, volumes and drivers, found as on any node: the kubelet is asked for the pods over HTTPS, its
 * folders tell the volumes, and `plugins_registry` the drivers. Only the kubelet is a fake.
 */
export async function findNode(rootDir: string, undo: UndoList): Promise<KubeletNode> {
  const user = { name: 'system:serviceaccount:monitoring:volume-metrics' };
  const kubelet = await FakeKubelet.start({
    bodies: {
      pods: { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [WEB, DATABASE, BACKUP, AGENT] },
      'stats/summary': { node: { nodeName: NODE_NAME }, pods: [] },
    },
    tokens: { 'not-a-secret': user },
    rules: [{ subject: user.name, resources: ['nodes/pods'] }],
  });
  undo.add('the kubelet', () => kubelet.stop());
  const client = new KubeletClient({
    endpoint: kubelet.endpoint,
    pinnedCertificateFile: kubelet.certificateFile,
    auth: { type: 'serviceAccount', tokenFile: await kubelet.tokenFile('not-a-secret') },
  });
  const node = new KubeletNode({ rootDir, pods: kubeletPods(client) });
  undo.add('the connections to the kubelet and the drivers', () => {
    node.close();
    client.close();
  });
  return node;
}
