import type { Needs } from '../support/needs.js';
import type { TestMounts } from '../support/mounts.js';

/** A kind of filesystem that the golden cases are measured on. */
export interface Filesystem {
  readonly name: string;
  readonly needs: Needs;
  /** Bytes of the blocks of a directory with few entries. */
  readonly directoryBytes: bigint;
  /** Bytes of the blocks of a short symlink. */
  readonly symlinkBytes: bigint;
  /** Whether it counts inodes. */
  readonly countsInodes: boolean;
  /** Mounts a new one. */
  mount(place: TestMounts): string;
}

/** All have blocks of 4096 bytes, as the golden cases want it. */
export const FILESYSTEMS: readonly Filesystem[] = [
  {
    name: 'tmpfs',
    needs: { root: true },
    directoryBytes: 0n,
    symlinkBytes: 0n,
    countsInodes: true,
    mount: (place) => place.tmpfs(),
  },
  {
    name: 'ext4',
    needs: { mkfs: ['ext4'] },
    directoryBytes: 4096n,
    symlinkBytes: 0n,
    countsInodes: true,
    mount: (place) => place.onLoop('ext4'),
  },
  {
    name: 'xfs',
    needs: { mkfs: ['xfs'] },
    directoryBytes: 0n,
    symlinkBytes: 0n,
    countsInodes: true,
    mount: (place) => place.onLoop('xfs'),
  },
  {
    name: 'btrfs',
    needs: { mkfs: ['btrfs'] },
    directoryBytes: 0n,
    symlinkBytes: 4096n,
    countsInodes: false,
    mount: (place) => place.onLoop('btrfs'),
  },
  {
    name: 'overlay',
    needs: { root: true },
    directoryBytes: 0n,
    symlinkBytes: 0n,
    countsInodes: true,
    mount: (place) => place.overlay(place.tmpfs()),
  },
];
