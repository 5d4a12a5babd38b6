import { expect, test } from 'vitest';
import { noteCaller, noteWork, workOf } from '../../src/waiting/work.js';

const signal = (): AbortSignal => new AbortController().signal;

test('work is added up for the call that it is done for, and for no other', () => {
  const [one, other] = [signal(), signal()];
  noteWork(one, 2);
  noteWork(one, 3.5);
  noteWork(undefined, 7);
  expect([workOf(one), workOf(other)]).toEqual([5.5, undefined]);
});

test('a call that notes 0 is known to note its work', () => {
  const one = signal();
  noteWork(one, 0);
  expect(workOf(one)).toBe(0);
});

test('work is also that of the call which began the call, and of the one before', () => {
  const [outer, middle, inner] = [signal(), signal(), signal()];
  noteCaller(inner, middle);
  noteCaller(middle, outer);
  noteCaller(outer, undefined);
  noteCaller(outer, outer);
  noteWork(inner, 4);
  noteWork(middle, 1);
  expect([workOf(inner), workOf(middle), workOf(outer)]).toEqual([4, 5, 5]);
});
