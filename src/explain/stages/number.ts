import type { Facts } from '../facts.js';
import { Judge, type Finding } from '../finding.js';
import { roundMs, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('number');

/** How many rounds old a reading may be. */
const MOST_ROUNDS = 5;
/** A filesystem that is written to differs between two readings; its size does not. */
const MOST_DIFFERENCE = 0.01;

/** Whether the number that is there is plausible: neither zero nor old, and the same as ours. */
export function numberStage(volume: VolumeFacts, facts: Facts): Finding {
  const { exported, summary, stats, description, sharedWith } = volume;
  const theirs = exported?.['capacity_bytes'] ?? numberOf(summary?.capacityBytes);
  const ours = numberOf(stats?.metrics?.capacity);
  const data = { theirs, ours, sharedWith, readOnly: stats?.metrics?.readOnly };
  if (theirs === undefined) return judge.skipped('there is no number to judge', data);
  const used = exported?.['used_bytes'] ?? numberOf(summary?.usedBytes);
  const isBlock = description?.mode === 'Block';
  if (theirs === 0) {
    return judge.cause(
      'the kubelet has the capacity 0: the driver or filesystem does not know its size, and panels divide by it',
      'Ask the makers of the driver; a driver may also need some time for its first numbers.',
      data,
    );
  }
  const age = ageMs(summary?.time, facts);
  const round = roundMs(facts);
  if (age !== undefined && round > 0 && age > MOST_ROUNDS * round) {
    return judge.cause(
      `the kubelet's number is ${String(Math.round(age / 1000))} s old, and a round takes at most ${String(round / 1000)} s: its measuring hangs`,
      'Look for a volume of the same pod that does not answer, and restart the kubelet.',
      { ...data, ageMs: age },
    );
  }
  if (ours !== undefined && Math.abs(ours - theirs) > MOST_DIFFERENCE * Math.max(ours, theirs)) {
    return judge.cause(
      `the kubelet says ${bytes(theirs)} of capacity, and here ${bytes(ours)} were measured`,
      'If the volume was resized, wait for the next round; else compare the mounts that the kubelet and this process see.',
      data,
    );
  }
  const shared =
    sharedWith === 0
      ? ''
      : `; the numbers are those of a filesystem that ${String(sharedWith)} other volumes of this node are on`;
  const compared = ours === undefined ? '' : ', the same as measured here';
  const readOnly = stats?.metrics?.readOnly === true ? '; it is read-only' : '';
  return judge.ok(`capacity ${bytes(theirs)}${usedText(used, isBlock)}${compared}${readOnly}${shared}`, data);
}

function usedText(used: number | undefined, isBlock: boolean): string {
  if (isBlock) return ' (a block volume has no other number)';
  return used === undefined ? '' : `, used ${bytes(used)}`;
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function ageMs(time: string | undefined, { nowMs }: Facts): number | undefined {
  const ms = Date.parse(time ?? '');
  return Number.isNaN(ms) ? undefined : nowMs - ms;
}

function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  const power = count < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  const text = (count / 1024 ** power).toFixed(power === 0 ? 0 : 1);
  return `${shown(text)} ${units[power] ?? ''}`;
}
