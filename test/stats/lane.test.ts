import { describe, expect, test } from 'vitest';
import { SharedLane, type Place } from '../../src/stats/lane.js';

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
  test('lets in as many as there are places, then the next when one is given back, once', () => {
    const lane = new SharedLane(2);
    const places = new Map<string, Place>();
    enter(lane, ['a', 'b', 'c', 'd'], places);
    expect([...places.keys()]).toEqual(['a', 'b']);
    places.get('a')!.giveBack();
    places.get('a')!.giveBack();
    expect([...places.keys()]).toEqual(['a', 'b', 'c']);
  });

  test('who leaves the queue is not let in, and leaving later does nothing', () => {
    const lane = new SharedLane(1);
    const places = new Map<string, Place>();
    const [leaveA, leaveB] = enter(lane, ['a', 'b', 'c'], places);
    leaveB!();
    leaveA!();
    places.get('a')!.giveBack();
    expect([...places.keys()]).toEqual(['a', 'c']);
  });

  test('the doubtful hold a quarter of the places at most, and come last', () => {
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

  test('with one place the doubtful get it when nobody else wants it', () => {
    const lane = new SharedLane(1);
    const places = new Map<string, Place>();
    enter(lane, ['a'], places);
    enter(lane, ['x'], places, true);
    places.get('a')!.giveBack();
    expect([...places.keys()]).toEqual(['a', 'x']);
  });
});
