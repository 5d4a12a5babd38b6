import { describe, expect, test } from 'vitest';
import {
  entriesToCondition,
  healthToCondition,
  storageEntries,
  volumeEntries,
} from '../../../src/csi/messages/health.js';
import { NodeGetVolumeHealthResponse, VolumeCapability_AccessMode_Mode } from '../../../src/csi/v1/index.js';

const decoded = (hex: string): NodeGetVolumeHealthResponse =>
  NodeGetVolumeHealthResponse.decode(Buffer.from(hex, 'hex'));

describe('health as a verdict', () => {
  test('is abnormal with the problems that are listed', () => {
    const { volumeHealth } = decoded('0a0d0a0176120808021201521a016d');
    expect(volumeHealth && healthToCondition(volumeHealth)).toEqual({
      abnormal: true,
      message: 'm',
      problems: [{ status: 'INACCESSIBLE', reason: 'R', message: 'm' }],
    });
  });

  test('is normal without any', () => {
    const { volumeHealth } = decoded('0a030a0176');
    expect(volumeHealth && healthToCondition(volumeHealth)).toEqual({ abnormal: false, message: '' });
  });

  test('has words where the driver sends no message, and a number for a status that has no name', () => {
    const verdict = (status: number, reason: string): unknown =>
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a newer CSI may send any
      healthToCondition({ volumeId: 'v', healthStatuses: [{ status, reason, message: '' }] }).message;
    expect(verdict(1, 'Slow')).toBe('Slow');
    expect(verdict(3, '')).toBe('DATA_LOSS');
    expect(verdict(9, '')).toBe('9');
  });
});

describe('problems of a volume', () => {
  test('are sent with the numbers of CSI 1.13, the worst first', () => {
    expect(
      volumeEntries([
        { status: 'DEGRADED', reason: 'SlowDisk' },
        { status: 'DATA_LOSS', reason: 'BadBlocks', message: '3 blocks' },
        { status: 'INACCESSIBLE', reason: 'Gone', message: 'it is gone' },
      ]),
    ).toEqual([
      { status: 3, reason: 'BadBlocks', message: '3 blocks' },
      { status: 2, reason: 'Gone', message: 'it is gone' },
      { status: 1, reason: 'SlowDisk', message: '' },
    ]);
    expect(volumeEntries([])).toEqual([]);
  });

  test('of the same status and reason are one, with the messages of all', () => {
    const lost = (
      message?: string,
    ): { status: 'DATA_LOSS'; reason: string; message?: string | undefined } => ({
      status: 'DATA_LOSS',
      reason: 'BadBlocks',
      message,
    });
    expect(
      volumeEntries([lost(), lost('sda'), lost('sda'), lost('sdb'), { ...lost('slow'), status: 'DEGRADED' }]),
    ).toEqual([
      { status: 3, reason: 'BadBlocks', message: 'sda; sdb' },
      { status: 1, reason: 'BadBlocks', message: 'slow' },
    ]);
  });

  test('are at most 16, with messages of at most 1024 bytes, as the API server takes them', () => {
    const many = Array.from({ length: 40 }, (_, index) => ({
      status: index === 39 ? ('DATA_LOSS' as const) : ('DEGRADED' as const),
      reason: `Reason${String(index)}`,
      message: 'é'.repeat(600),
    }));
    const entries = volumeEntries(many);
    expect(entries.map(({ reason }) => reason)).toEqual([
      'Reason39',
      ...Array.from({ length: 15 }, (_, index) => `Reason${String(index)}`),
    ]);
    for (const { message } of entries) {
      expect(message).toMatch(/^é+…$/);
      expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
      expect(Buffer.byteLength(message)).toBeGreaterThan(1020);
    }
    expect(volumeEntries([{ status: 'DEGRADED', reason: 'R', message: 'cut \ud83d' }])[0]?.message).toBe(
      'cut \ufffd',
    );
  });

  test.each<[unknown, RegExp]>([
    ['bad', /^Expected health to give a list of problems, got a string$/],
    [[null], /^Expected a problem to be an object, got null$/],
    [
      [{ status: 'BROKEN', reason: 'R' }],
      /^Expected the status of a problem to be one of DEGRADED, INACCESSIBLE, DATA_LOSS, got "BROKEN"$/,
    ],
    [[{ status: 2, reason: 'R' }], /, got the number 2$/],
    [[{ status: 'UNKNOWN_VOLUME_HEALTH_TYPE', reason: 'R' }], /, got "UNKNOWN_VOLUME_HEALTH_TYPE"$/],
    [[{ status: 'toString', reason: 'R' }], /, got "toString"$/],
    [
      [{ status: 'DEGRADED', reason: 'the disk is slow' }],
      /^Expected the reason of a problem to be a word in CamelCase of at most 256 characters, got "the disk is slow"$/,
    ],
    [[{ status: 'DEGRADED', reason: '' }], /, got ""$/],
    [[{ status: 'DEGRADED', reason: 'R'.repeat(257) }], /of at most 256 characters, got/],
    [[{ status: 'DEGRADED' }], /, got undefined$/],
    [
      [{ status: 'DEGRADED', reason: 'R', message: 5 }],
      /^Expected the message of a problem to be a string, got the number 5$/,
    ],
  ])('that are invalid are refused: %j', (problems, message) => {
    expect(() => volumeEntries(problems as never)).toThrow(
      expect.objectContaining({
        code: 'METRICS_PROVIDER_FAILED',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  test('are an abnormal verdict with the words of all for callers before CSI 1.13', () => {
    expect(entriesToCondition([])).toEqual({ abnormal: false, message: 'the volume answers' });
    expect(
      entriesToCondition(
        volumeEntries([
          { status: 'DEGRADED', reason: 'SlowDisk' },
          { status: 'DATA_LOSS', reason: 'BadBlocks', message: '3 blocks are lost' },
        ]),
      ),
    ).toEqual({ abnormal: true, message: '3 blocks are lost; SlowDisk' });
  });
});

describe('problems of the storage', () => {
  const accessMode = { mode: VolumeCapability_AccessMode_Mode.SINGLE_NODE_WRITER };

  test('of different capabilities stay apart', () => {
    const problem = { status: 'STORAGE_DEGRADED', reason: 'PathLost' } as const;
    const volumeCapability = { block: {}, accessMode };
    expect(
      storageEntries([
        { ...problem, message: 'one' },
        { ...problem, message: 'two', volumeCapability },
        { ...problem, message: 'three', volumeCapability },
        { status: 'STORAGE_UNREACHABLE', reason: 'PathLost' },
      ]),
    ).toEqual([
      { status: 2, reason: 'PathLost', message: '' },
      { status: 1, reason: 'PathLost', message: 'one' },
      { status: 1, reason: 'PathLost', message: 'two; three', volumeCapability },
    ]);
  });

  test.each([
    {},
    { accessMode },
    { block: {} },
    { block: {}, accessMode: { mode: 0 } },
    { block: {}, accessMode: { mode: 99 } },
    { block: {}, mount: { fsType: '', mountFlags: [], volumeMountGroup: '' }, accessMode },
  ])('for the capability %j are refused, over which the kubelet would drop them all', (volumeCapability) => {
    const problem = { status: 'STORAGE_DEGRADED', reason: 'PathLost', volumeCapability } as const;
    expect(() => storageEntries([problem])).toThrow(
      /^Expected the volumeCapability of a problem to have either block or mount, and accessMode$/,
    );
  });

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a mount without its fields', { mount: {}, accessMode }],
    ['a mode that does not fit', { block: {}, accessMode: { mode: 2 ** 40 } }],
    ['a mode that is a bigint', { block: {}, accessMode: { mode: 1n } }],
  ])('for a capability that cannot be sent are refused: %s', (_, volumeCapability) => {
    const problem = { status: 'STORAGE_DEGRADED', reason: 'PathLost', volumeCapability } as never;
    expect(() => storageEntries([problem])).toThrow(
      /^Expected the volumeCapability of a problem to be a complete one: a mount has fsType/,
    );
  });

  test('have statuses of their own', () => {
    expect(() => storageEntries([{ status: 'DEGRADED', reason: 'R' } as never])).toThrow(
      /to be one of STORAGE_DEGRADED, STORAGE_UNREACHABLE, got "DEGRADED"$/,
    );
  });
});
