import { propertyOf } from '../../errors.js';
import type { VolumeStats } from '../../stats/volume-stats.js';
import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { GIVE_CLAIMS, Judge, type Finding } from '../finding.js';
import { whyNotRunning } from '../not-running.js';
import { driverOf, isMeasuredByKubelet, kindOf, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('csi');

/** gRPC's status where nobody answers. */
const UNAVAILABLE = 14;

/** What to say of drivers without numbers. Whether a driver has the capability is always asked. */
const ABOUT_DRIVERS: readonly (readonly [RegExp, string])[] = [
  [/^efs\.csi\.aws\.com$/, 'the EFS driver has them behind its option vol-metrics-opt-in'],
  [/^smb\.csi\.k8s\.io$/, 'the SMB driver has them behind the flag --enable-get-volume-stats'],
  [/s3|gcsfuse|fsx|secrets-store|cert-manager|spiffe/, 'this driver is known to give none'],
];

/**
 * Whether the CSI driver gives numbers: registered on this node, its socket alive, the capability there, the
 * call successful, usage in the answer.
 */
export function csiStage(volume: VolumeFacts, facts: Facts): Finding {
  const driver = driverOf(volume);
  if (driver === undefined) return withoutDriver(volume);
  const reported = storageReports(volume, facts, driver);
  const finding = judgeDriver(volume, driver, facts, { driver, ...(reported.length > 0 && { reported }) });
  if (reported.length === 0 || finding.verdict === 'skipped') return finding;
  const evidence = `${finding.evidence}; the storage reported: ${shown(reported.join('; '), 400)}`;
  return { ...finding, evidence };
}

/**
 * What the storage itself reported to Kubernetes about a volume: since 1.37 in the status of the pod and of
 * the CSINode, before by events of the pod and the claim. Texts as they came, each once.
 */
function storageReports(
  { pod, volumeName, namespace, claimName }: VolumeFacts,
  { csiNode, events }: Facts,
  driver: string,
): readonly string[] {
  const ofVolume = (pod?.volumeHealth ?? []).filter(({ volume }) => volume === volumeName);
  const ofDriver = (valueOf(csiNode)?.health ?? []).filter((each) => each.driver === driver);
  const told = (valueOf(events) ?? []).filter((event) => {
    if (event.namespace !== namespace) return false;
    if (event.kind === 'PersistentVolumeClaim') return event.name === claimName;
    // The kubelet writes `Volume <name>: <message>`.
    return event.name === pod?.name && event.message.startsWith(`Volume ${volumeName ?? ''}:`);
  });
  return [
    ...new Set([
      ...ofVolume.map(({ status, reason, message }) => [status, reason, message].filter(Boolean).join(' ')),
      ...ofDriver.map(({ text }) => text),
      ...told.map(({ message }) => message),
    ]),
  ];
}

function judgeDriver(volume: VolumeFacts, driver: string, facts: Facts, data: Finding['data']): Finding {
  const name = shown(driver);
  const ended = volume.pod && whyNotRunning(volume.pod);
  if (ended?.hasEnded === true)
    return judge.skipped('the pod has ended, and the driver is not asked any more', data);
  const missing = notRegistered(driver, volume, facts);
  if (missing !== undefined) {
    return judge.cause(missing, `Check that the pod of the driver ${name} runs on that node.`, data);
  }
  if (!volume.isHere)
    return judge.skipped(`the driver ${name} has nothing to do here: the volume is not on this node`, data);
  const stats = volume.stats;
  if (stats === undefined || stats.state === 'pending') return notAskedHere(volume, driver, facts, data);
  if (stats.state === 'ok') return answered(name, stats, driver, facts, data);
  return failed(name, driver, stats, data);
}

function withoutDriver(volume: VolumeFacts): Finding {
  const { description } = volume;
  const kind = kindOf(volume);
  const isOther = description?.plugin !== undefined && description.plugin !== 'kubernetes.io/csi';
  if (isOther || (kind !== undefined && kind !== 'persistentVolumeClaim' && kind !== 'ephemeral'))
    return judge.skipped('not a CSI volume');
  return judge.unknown('whether a CSI driver serves the volume is not known', GIVE_CLAIMS);
}

/** Why the driver is not there; undefined if it is, or if that is not known. */
function notRegistered(
  driver: string,
  { stats, pod, place, summary, series, exported }: VolumeFacts,
  { csiNode }: Facts,
): string | undefined {
  const name = shown(driver);
  const known = valueOf(csiNode);
  const hasNumbers = summary !== undefined || exported !== undefined || series.length > 0;
  if (known !== undefined && pod !== undefined && !hasNumbers && !known.drivers.includes(driver)) {
    const list = known.drivers.length === 0 ? 'none' : known.drivers.map((each) => shown(each)).join(', ');
    return `the driver ${name} is not registered on node ${shown(place.nodeName ?? '?')}, whose CSINode lists ${list}`;
  }
  const error = stats?.error;
  const isAbsent = error?.code === 'METRICS_NOT_FOUND' && error.message.startsWith(`driver name ${driver} `);
  return isAbsent
    ? `the driver ${name} is not registered on this node: ${shown(error.message, 400)}`
    : undefined;
}

const ON_THE_NODE = 'Run this on the node, where the driver can be asked.';
const LOOK_AT_LOG = "Look at the log of the driver's pod on this node.";

/** Nothing was measured here: what the kubelet counts of its own calls may still tell. */
function notAskedHere(volume: VolumeFacts, driver: string, facts: Facts, data: Finding['data']): Finding {
  const name = shown(driver);
  if (isMeasuredByKubelet(volume)) return judge.ok(`the kubelet has numbers from the driver ${name}`, data);
  const metrics = valueOf(facts.metrics);
  const calls = metrics?.driverCalls.get(driver);
  const why = facts.disk.state === 'answered' ? 'it was not measured here' : facts.disk.problem;
  if (metrics === undefined)
    return judge.unknown(`the driver ${name} could not be asked: ${why}`, ON_THE_NODE, data);
  if (calls === undefined) {
    const text = `the driver ${name} could not be asked (${why}); the kubelet has never called its NodeGetVolumeStats, as with a driver without the capability GET_VOLUME_STATS`;
    return judge.unknown(text, ON_THE_NODE, data);
  }
  const list = countsText(calls);
  if (calls.has('OK')) return judge.ok(`the kubelet's calls to ${name} succeed: ${list}`, data);
  return judge.cause(
    `the driver ${name} fails the kubelet: NodeGetVolumeStats gave ${list}`,
    LOOK_AT_LOG,
    data,
  );
}

function countsText(calls: ReadonlyMap<string, number>): string {
  return [...calls].map(([status, count]) => `${String(count)} times ${shown(status)}`).join(', ');
}

function answered(
  name: string,
  { durationMs, metrics }: VolumeStats,
  driver: string,
  facts: Facts,
  data: Finding['data'],
): Finding {
  const calls = valueOf(facts.metrics)?.driverCalls.get(driver);
  const failures = calls === undefined ? [] : [...calls].filter(([status]) => status !== 'OK');
  const also =
    failures.length === 0 ? '' : `, while the kubelet counts ${countsText(new Map(failures))} of its calls`;
  const condition = metrics?.condition;
  const verdict = condition?.abnormal === true ? `; it reports: ${shown(condition.message)}` : '';
  return judge.ok(
    `the driver ${name} answers in ${String(Math.round(durationMs ?? 0))} ms${also}${verdict}`,
    data,
  );
}

function failed(name: string, driver: string, { state, error }: VolumeStats, data: Finding['data']): Finding {
  const message = shown(error?.message ?? '', 400);
  const status = propertyOf(error?.cause, 'code');
  const known = { ...data, code: error?.code, ...(typeof status === 'number' && { grpcStatus: status }) };
  if (error?.code === 'METRICS_NOT_MOUNTED' || (error?.code === 'METRICS_NOT_FOUND' && status === undefined))
    return judge.skipped(`the driver ${name} was not asked: ${message}`, known);
  if (state === 'stuck') {
    return judge.cause(
      `the driver ${name} does not answer: ${message}`,
      `${LOOK_AT_LOG} Its other volumes may hang too.`,
      known,
    );
  }
  if (state === 'unsupported') {
    const words = ABOUT_DRIVERS.find(([pattern]) => pattern.test(driver))?.[1];
    return judge.cause(
      `the driver ${name} does not have the capability GET_VOLUME_STATS${words === undefined ? '' : `: ${words}`}`,
      'Use a version of the driver that has it, if there is one; without it, the kubelet has no numbers.',
      known,
    );
  }
  if (status === UNAVAILABLE) {
    return judge.cause(
      `the driver ${name} is registered, and nobody answers at its socket: ${message}`,
      `Restart the driver's pod on this node.`,
      known,
    );
  }
  if (status === undefined && message.includes('usage')) {
    return judge.cause(
      `the driver ${name} answers without usage: ${message}`,
      'Ask the makers of the driver: it advertises numbers and gives none.',
      known,
    );
  }
  return judge.cause(`the driver ${name} fails: ${message}`, LOOK_AT_LOG, known);
}
