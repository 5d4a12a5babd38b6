import type { PodSummary, StatsSummary, VolumeSummary } from '../stats/stats-summary.js';
import { throwIfAborted } from '../waiting/abort.js';
import type { ApiClient } from './api-client.js';
import { badAnswer } from './bad-answer.js';
import { listOf, objectOf, Problems, quoted, textField, textOf, type JsonObject } from './checked-json.js';
import { checkedNodeName } from './door-options.js';
import { readJsonList, UnexpectedJson } from './json-list.js';
import type { SourceOptions } from './sources.js';

/** The kubelet's `/stats/summary`: the parts that concern filesystems. Unknown numbers are absent. */
export interface KubeletSummary extends StatsSummary {
  readonly node?: { readonly nodeName: string; readonly fs?: FsSummary };
  readonly pods: readonly KubeletPodSummary[];
  /** What was left out and why, a text for people each, with control characters escaped. */
  readonly problems: readonly string[];
}

/** One pod of a {@link KubeletSummary}. */
export interface KubeletPodSummary extends PodSummary {
  readonly containers: readonly ContainerFsSummary[];
  /** The kubelet's `ephemeral-storage`: containers, logs, etc-hosts and ephemeral volumes together. */
  readonly ephemeralStorage?: FsSummary;
}

/** The filesystems of one container. */
export interface ContainerFsSummary {
  readonly name: string;
  readonly rootfs?: FsSummary;
  readonly logs?: FsSummary;
}

/** Numbers of a filesystem, by the kubelet's names. */
export type FsSummary = Omit<VolumeSummary, 'name' | 'pvcRef' | 'volumeHealthStats'>;

const NUMBERS = [
  'availableBytes',
  'capacityBytes',
  'usedBytes',
  'inodesFree',
  'inodes',
  'inodesUsed',
] as const satisfies readonly (keyof VolumeSummary)[];

/** Texts, which stay as they are, and whole numbers that a double may not hold exactly. */
const TEXT_OR_LONG_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{16,}(?![\d.eE])/g;

/** `JSON.parse` with whole numbers of 16 digits and more as texts: as numbers they would be rounded. */
function parseExactly(text: string): unknown {
  return JSON.parse(
    text.replace(TEXT_OR_LONG_NUMBER, (found) => (found.startsWith('"') ? found : `"${found}"`)),
  );
}

/** The pod that an entry of the summary's list describes; undefined, with a problem, if it names none. */
function podSummaryFrom(value: unknown, problems: Problems): KubeletPodSummary | undefined {
  const pod = objectOf(value) ?? {};
  const ref = objectOf(pod['podRef']);
  const [uid, name, namespace] = [ref?.['uid'], ref?.['name'], ref?.['namespace']].map(textOf);
  if (uid === undefined || name === undefined || namespace === undefined) {
    problems.add(
      `a pod of the summary without a uid, name or namespace was left out (${quoted(name ?? '')})`,
    );
    return undefined;
  }
  const volume = listOf(pod['volume']).flatMap(volumeFrom);
  const ephemeralStorage = fsFrom(pod['ephemeral-storage']);
  return {
    podRef: { name, namespace, uid },
    ...(volume.length > 0 && { volume }),
    containers: listOf(pod['containers']).flatMap(containerFrom),
    ...(ephemeralStorage !== undefined && { ephemeralStorage }),
  };
}

/** The `node` of a summary. */
function nodeSummaryFrom(value: unknown): KubeletSummary['node'] {
  const node = objectOf(value);
  const nodeName = textOf(node?.['nodeName']);
  if (nodeName === undefined) return undefined;
  const fs = fsFrom(node?.['fs']);
  return { nodeName, ...(fs !== undefined && { fs }) };
}

function containerFrom(value: unknown): ContainerFsSummary[] {
  const container = objectOf(value);
  const name = textOf(container?.['name']);
  if (name === undefined) return [];
  const [rootfs, logs] = [fsFrom(container?.['rootfs']), fsFrom(container?.['logs'])];
  return [{ name, ...(rootfs !== undefined && { rootfs }), ...(logs !== undefined && { logs }) }];
}

function volumeFrom(value: unknown): VolumeSummary[] {
  const volume = objectOf(value);
  const name = textOf(volume?.['name']);
  if (volume === undefined || name === undefined) return [];
  const claim = objectOf(volume['pvcRef']);
  const [claimName, namespace] = [textOf(claim?.['name']), textOf(claim?.['namespace'])];
  const abnormal = objectOf(volume['volumeHealthStats'])?.['abnormal'];
  return [
    {
      ...numbersOf(volume),
      name,
      ...(claimName !== undefined && namespace !== undefined && { pvcRef: { name: claimName, namespace } }),
      ...(typeof abnormal === 'boolean' && { volumeHealthStats: { abnormal } }),
    },
  ];
}

function fsFrom(value: unknown): FsSummary | undefined {
  const given = objectOf(value);
  return given === undefined ? undefined : numbersOf(given);
}

function numbersOf(given: JsonObject): FsSummary {
  const known = NUMBERS.flatMap((name) => {
    const number = wholeNumber(given[name]);
    return number === undefined ? [] : [[name, number] as const];
  });
  return { ...textField('time', given['time']), ...Object.fromEntries(known) };
}

/** The kubelet's numbers are unsigned and have 64 bits. */
function wholeNumber(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  return typeof value === 'string' && /^\d{16,20}$/.test(value) ? BigInt(value) : undefined;
}

/** A pod's part of a summary is some kilobytes, plus some hundred bytes for each volume. */
const MOST_BYTES_OF_POD = 4 * 1024 * 1024;

/**
 * Reads a summary.
 *
 * @param check - asked now and then: what it throws ends the reading
 * @throws UnexpectedJson or SyntaxError if it is none
 */
export async function readSummary(body: Buffer, check: () => void): Promise<KubeletSummary> {
  const problems = new Problems();
  const pods: KubeletPodSummary[] = [];
  const others = await readJsonList(body, {
    list: 'pods',
    mostBytes: MOST_BYTES_OF_POD,
    onEntry: (text) => {
      const pod = podSummaryFrom(parseExactly(text), problems);
      if (pod !== undefined) pods.push(pod);
    },
    onTooLarge: (index, bytes) => {
      problems.add(`pod ${String(index)} of the summary has ${String(bytes)} bytes: it was left out`);
    },
    check,
  });
  const node = nodeSummaryFrom(others.get('node'));
  if (node === undefined) throw new UnexpectedJson('it is not a summary: it has no node');
  return { node, pods, problems: problems.texts() };
}

/**
 * What a kubelet's `/stats/summary` says about filesystems, asked through the API server's proxy. So nodes
 * that cannot be reached from here can be asked. It needs the right `nodes/proxy`, which also lets its holder
 * run commands in every container of the node: prefer `KubeletClient.statsSummary` where it works.
 *
 * @param nodeName - the node, as the API server calls it
 * @returns undefined if there is no such node
 * @throws TypeError for a name that no node can have; KubeletError with a code `API_*`
 */
export async function summaryThroughApiServer(
  api: ApiClient,
  nodeName: string,
  options: SourceOptions = {},
): Promise<KubeletSummary | undefined> {
  const path = `/api/v1/nodes/${checkedNodeName(nodeName)}/proxy/stats/summary`;
  const body = await api.request(path, options);
  if (body === undefined) return undefined;
  try {
    return await readSummary(body, () => {
      throwIfAborted(options.signal);
    });
  } catch (error) {
    throw badAnswer(error, 'API', `${api.name} answered ${path}`, '', body);
  }
}
