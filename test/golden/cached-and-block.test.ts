import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CachedMetrics, MetricsBlock, type Metrics, type MetricsProvider } from '../../src/index.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { BINDINGS } from './bindings.js';

/** Answers one after the other, and counts who asks. */
class Scripted implements MetricsProvider {
  readonly name = 'scripted';
  calls = 0;
  readonly #answers: (Metrics | Error)[];

  constructor(...answers: (Metrics | Error)[]) {
    this.#answers = answers;
  }

  async getMetrics(): Promise<Metrics> {
    this.calls += 1;
    const answer = this.#answers.shift() ?? new Error('asked too often');
    await Promise.resolve();
    if (answer instanceof Error) throw answer;
    return answer;
  }
}

const reading = (used: bigint): Metrics => ({ time: new Date(), source: 'scripted', used });

describe('CachedMetrics', () => {
  test('an error is not kept, the first success is', async () => {
    const errors = [new Error('first'), new Error('second')] as const;
    const [v1, v2] = [reading(1n), reading(2n)];
    const provider = new Scripted(...errors, v1, v2);
    const cached = new CachedMetrics(provider);
    await expect(cached.getMetrics()).rejects.toBe(errors[0]);
    await expect(cached.getMetrics()).rejects.toBe(errors[1]);
    expect(await cached.getMetrics()).toBe(v1);
    expect(await cached.getMetrics()).toBe(v1);
    expect(provider.calls).toBe(3);
  });

  test('ten callers at once share one call', async () => {
    const v1 = reading(1n);
    const provider = new Scripted(v1, reading(2n));
    const cached = new CachedMetrics(provider);
    const readings = await Promise.all(Array.from({ length: 10 }, () => cached.getMetrics()));
    expect(readings.every((each) => each === v1)).toBe(true);
    expect(provider.calls).toBe(1);
  });
});

describe.each(BINDINGS)('MetricsBlock, %s binding', (binding) => {
  const MIB = 1024 ** 2;
  const skip = needs({ loop: true }) !== false;
  let place: TestMounts;
  beforeAll(() => {
    place = new TestMounts();
  });
  afterAll(() => {
    place.close();
  });

  test('a regular file', async () => {
    const metrics = await new MetricsBlock(place.image(5 * MIB), { binding }).getMetrics();
    expect(metrics).toEqual({ time: metrics.time, source: 'block', capacity: 5_242_880n });
  });

  test.skipIf(skip)('a loop device', async () => {
    const device = place.loopDevice(place.image(64 * MIB));
    const metrics = await new MetricsBlock(device, { binding }).getMetrics();
    expect(metrics).toEqual({ time: metrics.time, source: 'block', capacity: 67_108_864n });
  });
});
