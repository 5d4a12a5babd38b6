import { resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BLOCK, CALLS, filesEntered, table, type Call, type Entered } from './support/files-entered.mjs';
import { blockIn } from './support/marked-block.mjs';
import { needs } from './support/needs.js';

const noAddon = needs({ native: true }) !== false;
const noCommands = needs({ programs: ['stat'] }) !== false;
const skipped = (call: Call): boolean =>
  (call === 'native' && noAddon) || (call === 'commands' && noCommands);
const calls = (Object.keys(CALLS) as Call[]).filter((call) => !skipped(call));

describe('a call enters few files', () => {
  let entered: Map<Call, Entered>;

  beforeAll(async () => {
    entered = await filesEntered(calls);
  });

  test.each(calls.map((call) => ({ call, ...CALLS[call] })))('$title: at most $limit', ({ call, limit }) => {
    const { warm } = entered.get(call)!;
    expect(warm.length, warm.join('\n')).toBeLessThanOrEqual(limit);
    // What is counted is the whole way: it begins in the file of the object that is called.
    expect(warm.join(' ')).toMatch(/metrics-stat-fs|metrics-csi|fs-resource-analyzer/);
  });

  test.skipIf(calls.length < Object.keys(CALLS).length)('docs/architecture.md has the numbers', () => {
    const document = resolve(import.meta.dirname, '../docs/architecture.md');
    expect(blockIn(document, BLOCK)).toBe(table(entered));
  });
});
