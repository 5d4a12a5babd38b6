import type { VolumeDescription } from '../../kubelet/described-volume.js';
import { KubeletNode } from '../../kubelet/kubelet-node.js';
import type { ClaimSource, PodListing } from '../../kubelet/sources.js';
import { FsResourceAnalyzer } from '../../stats/fs-resource-analyzer.js';
import type { Pod, StatsProvider, VolumeMap } from '../../stats/pod.js';
import { answerOf, notAsked, type Answer, type QuestionLimits } from '../answer.js';
import type { DiskFacts, Facts } from '../facts.js';
import type { ExplainedNode } from '../explain-options.js';
import type { Subject } from '../volume-facts.js';

/** How many times the limit of one question the whole disk may take. Each volume has a limit of its own. */
const LIMITS_FOR_DISK = 6;

/**
 * Describes all volumes of the node, and measures those that are asked about, with the others of their pods
 * that are not walked.
 *
 * @param find - which volumes are asked about, given what is on the disk
 */
export async function lookAtDisk(
  node: ExplainedNode | undefined,
  pods: Answer<PodListing>,
  claims: Facts['claims'],
  find: (described: DiskFacts['described']) => readonly Subject[],
  { timeoutMs, signal }: QuestionLimits,
): Promise<Answer<DiskFacts>> {
  if (node === undefined) return notAsked('this is not on the node');
  if (pods.state !== 'answered') return pods;
  const listing = pods.value;
  const kubeletNode = new KubeletNode({
    rootDir: node.rootDir,
    pods: { name: 'the pods that are known', pods: () => Promise.resolve(listing) },
    claims: knownClaims(claims),
  });
  try {
    return await answerOf('the disk', { timeoutMs: LIMITS_FOR_DISK * timeoutMs, signal }, async (end) => {
      const listed = await kubeletNode.getPods();
      const described = new Map<string, readonly VolumeDescription[]>();
      for (const { metadata } of listed) {
        end.throwIfAborted();
        described.set(metadata.uid, (await kubeletNode.describe(metadata.uid)) ?? []);
      }
      const stats = await measured(kubeletNode, listed, find(described), timeoutMs, end);
      return { described, stats, warnings: kubeletNode.warnings() };
    });
  } finally {
    kubeletNode.close();
  }
}

/** Gives what was asked for already, so that no volume costs a request of its own. */
function knownClaims(claims: Facts['claims']): ClaimSource {
  return {
    name: 'the claims that are known',
    claim: (namespace, name) => {
      const answer = claims.get(`${namespace}/${name}`) ?? notAsked('it was not asked for');
      return answer.state === 'answered'
        ? Promise.resolve(answer.value)
        : Promise.reject(new Error(answer.problem));
    },
  };
}

async function measured(
  node: KubeletNode,
  listed: readonly Pod[],
  subjects: readonly Subject[],
  timeoutMs: number,
  end: AbortSignal,
): Promise<DiskFacts['stats']> {
  const wanted = new Map<string, Set<string>>();
  for (const { pod, isHere, volumeName } of subjects) {
    if (!isHere || pod === undefined || volumeName === undefined) continue;
    const names = wanted.get(pod.folderUid) ?? new Set();
    wanted.set(pod.folderUid, names.add(volumeName));
  }
  const chosen: StatsProvider = {
    getPods: () => Promise.resolve(listed.filter(({ metadata }) => wanted.has(metadata.uid))),
    listVolumesForPod: async (uid): Promise<VolumeMap | undefined> => {
      const providers = await node.listVolumesForPod(uid);
      const names = wanted.get(uid);
      if (providers === undefined) return undefined;
      return new Map(
        [...providers].filter(([name, { name: way }]) => names?.has(name) === true || way !== 'du'),
      );
    },
  };
  const analyzer = new FsResourceAnalyzer(chosen, {
    ...{ periodMs: 0, timeoutMs, walkTimeoutMs: timeoutMs, walkShare: 1 },
    onError: () => undefined,
  });
  try {
    end.throwIfAborted();
    const pods = await analyzer.calculate();
    return new Map(
      pods.map(({ podRef, ephemeralVolumes, persistentVolumes }) => [
        podRef.uid,
        new Map([...ephemeralVolumes, ...persistentVolumes].map((each) => [each.name, each])),
      ]),
    );
  } finally {
    await analyzer.stop();
  }
}
