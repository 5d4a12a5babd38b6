// docs/architecture.md as a table, for test/architecture.test.ts and eslint.config.js.

/**
 * What each folder of src/ may import besides itself, lowest first, and which packages. Node's own modules are open to all but
 * the contract.
 *
 * @type {Readonly<Record<string, { readonly below: readonly string[]; readonly packages: readonly string[] }>>}
 */
export const LAYERS = {
  contract: { below: [], packages: [] },
  os: { below: ['contract'], packages: ['execa', 'node-gyp-build'] },
  providers: { below: ['contract', 'os'], packages: [] },
  stats: { below: ['contract'], packages: [] },
  index: { below: ['contract', 'os', 'providers', 'stats'], packages: [] },
  csi: { below: ['contract', 'os', 'providers'], packages: ['@grpc/grpc-js', '@bufbuild/protobuf'] },
  kubelet: { below: ['contract', 'os', 'providers', 'stats'], packages: ['fs-extra'] },
  prometheus: { below: ['contract', 'os', 'providers', 'stats'], packages: [] },
  testing: { below: ['contract', 'os', 'providers', 'stats'], packages: [] },
  'testing/csi': {
    below: ['contract', 'os', 'providers', 'csi', 'testing'],
    packages: ['fs-extra', '@grpc/grpc-js', '@bufbuild/protobuf'],
  },
  // The package itself: for its version. The others are bundled into dist/cli (tsup.config.ts).
  cli: {
    below: ['index', 'csi', 'kubelet', 'prometheus'],
    packages: [
      ...['kube-volume-metrics', 'commander', 'cli-table3', 'cli-truncate', 'filesize', 'string-width'],
      ...['wrap-ansi', 'yocto-spinner'],
    ],
  },
};

/** The files of the contract. */
export const CONTRACT = ['metrics.ts', 'errors.ts', 'stringify.ts'];

/** Only loaded when first needed: what `import 'kube-volume-metrics'` must not pay for. */
export const LAZY = new Set(['execa', 'fs-extra']);

/** Who may import `node:fs`: they read /proc, /sys, the folders of programs, and the package's own. None reads a volume. */
export const READS_FILES = [
  'os/addon.ts',
  'os/block-device.ts',
  'os/mounts.ts',
  'os/commands/sign-of-life.ts',
  'os/commands/tools.ts',
];

/** Who may import `node:child_process`. */
export const STARTS_PROCESSES = ['os/commands/at-exit.ts', 'os/commands/launch.ts'];
