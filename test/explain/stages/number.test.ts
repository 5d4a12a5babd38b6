import { numberStage } from '../../../src/explain/stages/number.js';
import type { VolumeFacts } from '../../../src/explain/volume-facts.js';
import { description, measured, NO_NUMBERS, testStage } from '../support/facts.js';

const at = (time: string): NonNullable<VolumeFacts['summary']> => ({
  name: 'data',
  time,
  capacityBytes: 100n,
});
const ours = (over: object): VolumeFacts['stats'] =>
  measured({ metrics: { ...measured().metrics, ...over } as never });

testStage('number', numberStage, [
  {
    title: 'the numbers are the evidence',
    verdict: 'ok',
    evidence: /^capacity 100 bytes, used 40 bytes, the same as measured here$/,
    data: { theirs: 100, ours: 100, sharedWith: 0 },
  },
  {
    title: 'numbers of a filesystem that others are on too',
    volume: { sharedWith: 249 },
    verdict: 'ok',
    evidence: /those of a filesystem that 249 other volumes of this node are on$/,
  },
  {
    title: 'a filesystem that is read-only',
    volume: { stats: ours({ readOnly: true }) },
    verdict: 'ok',
    evidence: /; it is read-only$/,
    data: { readOnly: true },
  },
  {
    title: 'nothing is used',
    volume: { exported: { capacity_bytes: 100, used_bytes: 0 } },
    verdict: 'ok',
    evidence: /used 0 bytes/,
  },
  {
    title: 'a block volume has no other number',
    volume: { description: description({ mode: 'Block' }) },
    verdict: 'ok',
    evidence: /\(a block volume has no other number\)/,
  },
  {
    title: 'the capacity is 0',
    volume: { exported: { capacity_bytes: 0 } },
    verdict: 'cause',
    evidence: /the capacity 0: .* panels divide by it/,
    fix: /makers of the driver/,
    data: { theirs: 0 },
  },
  {
    title: 'the number is old',
    volume: { summary: at('2026-11-27T11:30:00Z') },
    verdict: 'cause',
    evidence: /is 1800 s old, and a round takes at most 120 s: its measuring hangs/,
    fix: /does not answer/,
    data: { ageMs: 1_800_000 },
  },
  {
    title: 'the capacity differs from ours',
    volume: { stats: ours({ capacity: 5n * 1024n ** 3n }), exported: { capacity_bytes: 1024 ** 3 } },
    verdict: 'cause',
    evidence: /says 1\.0 GiB of capacity, and here 5\.0 GiB were measured/,
    fix: /resized/,
  },
  {
    title: 'a difference of less than a hundredth is none',
    volume: { stats: ours({ capacity: 100_500n }), exported: { capacity_bytes: 100_000 } },
    verdict: 'ok',
    evidence: /the same as measured here/,
  },
  {
    title: 'of a volume that was not measured here, the kubelet is believed',
    volume: { stats: undefined },
    verdict: 'ok',
    evidence: /^capacity 100 bytes, used 40 bytes$/,
  },
  {
    title: 'without a number there is nothing to judge',
    volume: NO_NUMBERS,
    verdict: 'skipped',
    evidence: /no number to judge/,
  },
]);
