import { describe, expect, test } from 'vitest';
import { Queue, SharedLane, type Place } from '../../../src/stats/schedule/lane.js';

/** Enters so many and gives the places of those who got in, in that order. */
function enter(
  lane: SharedLane,
  names: readonly string[],
  places: Map<string, Place>,
  doubtful = false,
): (() => void)[] {
  return names.map((name) => lane.enter((place) => places.set(name, place), doubtful));
}

describe('SharedLane', () => {
  test('lets in as many as there are places, and one more when a place is given back', () => {
    const lane = new SharedLane(2);
    const places = new Map<string, Place>();
    enter(lane, ['a', 'b', 'c', 'd'], places);
    expect([...places.keys()]).toEqual(['a', 'b']);
    places.get('a')!.giveBack();
    places.get('a')!.giveBack();
    expect([...places.keys()]).toEqual(['a', 'b', 'c']);
  });

  test('does not let in one that left the queue, and ignores leaving after that', () => {
    const lane = new SharedLane(1);
    const places = new Map<string, Place>();
    const [leaveA, leaveB] = enter(lane, ['a', 'b', 'c'], places);
    leaveB!();
    leaveA!();
    places.get('a')!.giveBack();
    expect([...places.keys()]).toEqual(['a', 'c']);
  });

  test('doubtful calls hold at most a quarter of the places, and come last', () => {
    const lane = new SharedLane(8);
    const places = new Map<string, Place>();
    enter(lane, ['x', 'y', 'z'], places, true);
    expect([...places.keys()]).toEqual(['x', 'y']);
    enter(lane, ['a', 'b', 'c', 'd', 'e', 'f', 'g'], places);
    expect([...places.keys()]).toEqual(['x', 'y', 'a', 'b', 'c', 'd', 'e', 'f']);
    places.get('x')!.giveBack();
    expect([...places.keys()].at(-1)).toBe('g');
    places.get('a')!.giveBack();
    expect([...places.keys()].at(-1)).toBe('z');
  });

  test('gives a single place to a doubtful call if no other wants it', () => {
    const lane = new SharedLane(1);
    const places = new Map<string, Place>();
    enter(lane, ['a'], places);
    enter(lane, ['x'], places, true);
    places.get('a')!.giveBack();
    expect([...places.keys()]).toEqual(['a', 'x']);
  });
});

const items = (count: number): { readonly number: number }[] =>
  Array.from({ length: count }, (_, number) => ({ number }));

function drain(queue: Queue<{ readonly number: number }>): number[] {
  const taken: number[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) taken.push(item.number);
  return taken;
}

describe('Queue', () => {
  test('gives the first one first, also if more come while it empties', () => {
    const queue = new Queue<{ readonly number: number }>();
    const all = items(1_000);
    const taken: number[] = [];
    for (const item of all) {
      queue.push(item);
      if (item.number % 3 > 0) taken.push(queue.shift()!.number);
    }
    expect(queue.size).toBe(all.length - taken.length);
    expect([...taken, ...drain(queue)]).toEqual(all.map(({ number }) => number));
    expect(queue.size).toBe(0);
  });

  test('leaves out entries that have left, wherever they stood, and no longer counts them', () => {
    const queue = new Queue<{ readonly number: number }>();
    const leave = items(300).map((item) => queue.push(item));
    for (let taken = 0; taken < 100; taken += 1) queue.shift();
    leave.forEach((each, number) => {
      if (number % 2 === 0) each();
    });
    expect(queue.size).toBe(100);
    expect(drain(queue)).toEqual(Array.from({ length: 100 }, (_, index) => 101 + 2 * index));
    expect(queue.shift()).toBeUndefined();
  });

  test('leaving twice, or after its turn, changes nothing', () => {
    const queue = new Queue<{ readonly number: number }>();
    const [first, second] = items(2);
    const leave = queue.push(first!);
    expect(queue.shift()).toBe(first);
    queue.push(second!);
    leave();
    leave();
    expect([queue.size, queue.shift()]).toEqual([1, second]);
  });
});
