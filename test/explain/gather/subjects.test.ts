import { describe, expect, test } from 'vitest';
import {
  chosenPods,
  chosenVolumes,
  unnamedVolumes,
  whyNoSubject,
} from '../../../src/explain/gather/subjects.js';
import type { NodePod } from '../../../src/kubelet/node-pod.js';
import { answered, description, facts, idle, NOT_ASKED, pod, REFUSED } from '../support/facts.js';

const CLAIM = { name: 'data', kind: 'persistentVolumeClaim', claimName: 'data' };
const TMP = { name: 'tmp', kind: 'emptyDir' };
const web = (name: string, over: Partial<NodePod> = {}): NodePod =>
  pod({ name, apiUid: name, folderUid: name, volumes: [CLAIM, TMP], ...over });
const ALL = { claim: undefined, pod: undefined, volume: undefined, all: true };

describe('the volumes that are asked about', () => {
  const names = (pods: readonly NodePod[], target: object = {}): readonly string[] => {
    const wanted = { ...ALL, all: false, ...target };
    return chosenVolumes(chosenPods(pods, wanted), true, wanted).map(
      (each) => `${each.pod?.name ?? ''}/${each.volumeName ?? ''}`,
    );
  };

  test('are all claims, or all volumes', () => {
    const pods = [web('a'), web('b', { namespace: 'other' })];
    expect(names(pods)).toEqual(['a/data', 'b/data']);
    expect(names(pods, { all: true })).toEqual(['a/data', 'a/tmp', 'b/data', 'b/tmp']);
  });

  test('are those of one claim, one pod, or one volume of a pod', () => {
    const pods = [web('a'), web('b', { namespace: 'other' })];
    expect(names(pods, { claim: { namespace: 'other', name: 'data' } })).toEqual(['b/data']);
    expect(names(pods, { claim: { namespace: 'shop', name: 'tmp' } })).toEqual([]);
    expect(names(pods, { pod: { namespace: 'shop', name: 'a' } })).toEqual(['a/data']);
    expect(names(pods, { pod: { namespace: 'shop', name: 'a' }, volume: 'tmp' })).toEqual(['a/tmp']);
  });

  test('have the pod that runs, if several use one claim', () => {
    const crashing = idle('Running', { name: 'waiting', reason: 'CrashLoopBackOff' }, { volumes: [CLAIM] });
    expect(names([{ ...crashing, name: 'c' }, web('a'), web('b')])).toEqual(['a/data']);
    expect(names([web('b'), { ...crashing, name: 'c' }])).toEqual(['b/data']);
  });

  test('are those on the disk, if nobody knows what the pods are', () => {
    const unnamed = description({ name: 'kubernetes.io~csi/pv-1', persistentVolume: 'pv-1' });
    const described = new Map([['a', [unnamed, description({ name: 'tmp' })]]]);
    const found = unnamedVolumes([web('a', { volumes: [] }), web('b')], described);
    expect(found.map(({ volumeName, isHere }) => [volumeName, isHere])).toEqual([
      ['kubernetes.io~csi/pv-1', true],
    ]);
  });
});

describe('why there is none', () => {
  const target = { ...ALL, all: false, pod: { namespace: 'shop', name: 'web-0' } };

  test.each([
    [
      'nobody knows the pods',
      ALL,
      facts({ pods: NOT_ASKED }),
      'which pods there are is not known: nobody was asked',
    ],
    ['the question about the pods says so itself', ALL, facts({ pods: REFUSED }), undefined],
    ['the node has no claims', ALL, facts(), undefined],
    ['the pod has no claim', target, facts(), 'pod shop/web-0 has no volume with a claim'],
    [
      'the pod lacks the volume',
      { ...target, volume: 'x\u001b' },
      facts(),
      'pod shop/web-0 has no volume x\\x1b',
    ],
    [
      'there is no such pod',
      target,
      facts({ pods: answered({ pods: [], problems: [] }), elsewhere: answered([]) }),
      'there is no pod shop/web-0',
    ],
    [
      'there is no such pod here',
      target,
      facts({ pods: answered({ pods: [], problems: [] }) }),
      'pod shop/web-0 is not on this node, and nobody was asked',
    ],
  ])('%s', (_, wanted, known, text) => {
    expect(whyNoSubject(wanted, known)).toBe(text);
  });
});
