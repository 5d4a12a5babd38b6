import { describe, expect, test } from 'vitest';
import { Queue } from '../../src/stats/queue.js';

const items = (count: number): { readonly number: number }[] =>
  Array.from({ length: count }, (_, number) => ({ number }));

function drain(queue: Queue<{ readonly number: number }>): number[] {
  const taken: number[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) taken.push(item.number);
  return taken;
}

describe('Queue', () => {
  test('gives the first one first, also when more come meanwhile', () => {
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

  test('leaves out whoever has left, wherever they stood, and counts them no more', () => {
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
