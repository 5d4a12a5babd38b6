import { describe, expect, test } from 'vitest';
import { stringify } from '../src/stringify.js';

describe('stringify', () => {
  test('writes bigints as exact number tokens', () => {
    expect(stringify({ a: 9223372036854775807n, b: [-1n, 0n] })).toBe('{"a":9223372036854775807,"b":[-1,0]}');
  });

  test.each([
    { a: 1, b: 'text "quoted" \n \ud800', c: null, d: true, e: [1, [2, []]], f: {}, g: new Date(0) },
    { undefined: undefined, function: () => 1, symbol: Symbol('s'), kept: 1 },
    [undefined, () => 1, Symbol('s'), NaN, Infinity],
    { toJSON: (key: string) => ({ key }) },
    { inner: { toJSON: (key: string) => `was ${key}` } },
    'text',
    null,
    [],
    {},
    new Map([[1, 2]]),
    Object('boxed'),
    [1, , 3],
    { toJSON: () => new Date(0) },
    {
      a: 1,
      toJSON(): unknown {
        return this;
      },
    },
  ])('is JSON.stringify for everything else: %j', (value) => {
    expect(stringify(value)).toBe(JSON.stringify(value));
    expect(stringify(value, 2)).toBe(JSON.stringify(value, undefined, 2));
  });

  test('writes a boxed bigint as one', () => {
    expect(stringify({ a: Object(2n ** 63n) as unknown })).toBe('{"a":9223372036854775808}');
  });

  test('indents around bigints', () => {
    expect(stringify({ a: [1n, { b: 2n }] }, 2)).toBe(JSON.stringify({ a: [1, { b: 2 }] }, undefined, 2));
  });

  test('the same object twice is no cycle; itself within itself is', () => {
    const twice = { n: 1n };
    expect(stringify([twice, twice])).toBe('[{"n":1},{"n":1}]');
    const cycle: Record<string, unknown> = {};
    cycle['self'] = [cycle];
    expect(() => stringify(cycle)).toThrow(TypeError);
  });

  test.each([-1, 0.5, Infinity, NaN, 101, '\t', null, Symbol('s')])('refuses an indent of %s', (indent) => {
    expect(() => stringify({}, indent as number)).toThrow(
      /^Expected indent to be a whole number from 0 to 100, got /,
    );
  });

  test.each([undefined, () => 1, Symbol('s')])('refuses what has no JSON form: %s', (value) => {
    expect(() => stringify(value)).toThrow(TypeError);
  });
});
