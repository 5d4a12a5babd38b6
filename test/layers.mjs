// The layers of src/, for test/architecture.test.ts, eslint.config.js and the table in docs/architecture.md,
// which `npm run layers -- --write` writes.
import { fileURLToPath } from 'node:url';
import { markdownTable, writeBlock } from './support/marked-block.mjs';

/**
 * One layer. A file belongs to the layer with the longest name in `files` that it is, or is below.
 *
 * @typedef {object} Layer
 * @property {readonly string[]} files files and folders (with a slash at the end) below src/
 * @property {readonly string[]} below the layers that it may import, types included
 * @property {readonly string[]} [packages] the packages that it may import
 * @property {readonly string[]} [node] the modules of Node that it may import; by default all
 * @property {boolean} [apart] whether its files may not even import each other
 * @property {'planned'} [state] reserved for what is to come
 */

const CONTRACT = ['contract'];
const GROUND = [...CONTRACT, 'ground'];
const OS = [...GROUND, 'os/base', 'os'];
const MEASURING = [...OS, 'providers', 'stats'];
const GRPC = ['@grpc/grpc-js', '@bufbuild/protobuf'];

/**
 * Lowest first: a layer names only layers above it in this table.
 *
 * @type {Readonly<Record<string, Layer>>}
 */
export const LAYERS = {
  contract: {
    files: ['metrics.ts', 'errors.ts', 'stringify.ts'],
    below: [],
    node: [],
    apart: true,
  },
  ground: {
    files: ['reading.ts', 'options.ts', 'escape.ts', 'waiting/'],
    below: CONTRACT,
    node: ['node:events', 'node:util'],
  },
  'os/base': {
    files: ['os/os-binding.ts', 'os/volume-call.ts', 'os/system-error.ts', 'os/mounts.ts', 'os/devices.ts'],
    below: GROUND,
  },
  'os/native': {
    files: ['os/native/'],
    below: [...GROUND, 'os/base'],
    packages: ['node-gyp-build'],
  },
  'os/launch': { files: ['os/launch.ts'], below: GROUND, packages: ['execa'] },
  'os/commands': { files: ['os/commands/'], below: [...GROUND, 'os/base', 'os/launch'] },
  os: { files: ['os/'], below: [...GROUND, 'os/base', 'os/native', 'os/commands'] },
  providers: { files: ['providers/'], below: OS },
  'stats/schedule': { files: ['stats/schedule/'], below: GROUND },
  stats: { files: ['stats/'], below: [...GROUND, 'stats/schedule'] },
  index: { files: ['index.ts'], below: MEASURING },
  'csi/gen': { files: ['csi/gen/'], below: [], packages: GRPC },
  'csi/messages': { files: ['csi/messages/'], below: [...GROUND, 'csi/gen'], packages: GRPC },
  'csi/client': {
    files: ['csi/client/'],
    below: [...OS, 'providers', 'csi/gen', 'csi/messages'],
    packages: GRPC,
  },
  'csi/handler': {
    files: ['csi/handler/'],
    below: [...OS, 'providers', 'csi/gen', 'csi/messages'],
    packages: GRPC,
  },
  'csi/serving': {
    files: ['csi/serving/'],
    below: [...GROUND, 'csi/gen', 'csi/messages'],
    packages: GRPC,
  },
  csi: { files: ['csi/'], below: ['csi/gen', 'csi/messages', 'csi/client', 'csi/handler', 'csi/serving'] },
  kubelet: {
    files: ['kubelet/'],
    below: [...MEASURING, 'os/launch', 'csi/gen', 'csi/messages', 'csi/client', 'csi'],
  },
  prometheus: { files: ['prometheus/'], below: [...GROUND, 'stats'] },
  explain: { files: ['explain/'], below: [...MEASURING, 'kubelet'] },
  exporter: {
    files: ['exporter/'],
    below: [...MEASURING, 'csi', 'kubelet', 'prometheus', 'explain'],
    state: 'planned',
  },
  testing: { files: ['testing/'], below: MEASURING },
  'testing/csi': {
    files: ['testing/csi/'],
    below: [...MEASURING, 'csi/gen', 'csi/messages', 'csi', 'testing'],
    packages: ['fs-extra', ...GRPC],
  },
  'testing/kubelet': {
    files: ['testing/kubelet/'],
    below: [...MEASURING, 'csi', 'kubelet', 'testing'],
    packages: [],
  },
  cli: {
    files: ['cli/'],
    below: ['index', 'csi', 'kubelet', 'prometheus', 'explain', 'exporter'],
    // The package itself: for its version. The others are bundled into dist/cli.
    packages: [
      'kube-volume-metrics',
      'cli-table3',
      'cli-truncate',
      'commander',
      'filesize',
      'string-width',
      'wrap-ansi',
      'yocto-spinner',
    ],
  },
};

/** Only loaded when first needed: what `import 'kube-volume-metrics'` must not pay for. */
export const LAZY = new Set(['execa', 'fs-extra']);

/**
 * Which files may import `node:fs`: they read /proc, /sys, the kubelet's folders, programs', the package's own
 * and the operator's credentials, and make a driver's sockets. None reads a volume.
 */
export const READS_FILES = [
  'cli/doors.ts',
  'cli/node-credentials.ts',
  'csi/serving/listen-on-socket.ts',
  'os/commands/children.ts',
  'kubelet/credentials.ts',
  'kubelet/disk/pod-folder.ts',
  'kubelet/disk/vol-data.ts',
  'kubelet/drivers/registry-sockets.ts',
  'kubelet/kubelet-root.ts',
  'kubelet/plan-entry.ts',
  'os/commands/tools.ts',
  'os/devices.ts',
  'os/mounts.ts',
  'os/native/addon.ts',
  'testing/kubelet/lay-out-pod.ts',
  'testing/kubelet/make-kubelet-root.ts',
  'testing/kubelet/root-mounts.ts',
  'testing/kubelet/fake-files.ts',
];

/** Which files may import `node:child_process`. */
export const STARTS_PROCESSES = ['os/launch.ts', 'testing/kubelet/root-mounts.ts'];

/**
 * The layer of a file.
 *
 * @param {string} file below src/, with slashes
 * @returns {string | undefined}
 */
export function layerOf(file) {
  let found;
  let longest = 0;
  for (const [name, { files }] of Object.entries(LAYERS)) {
    for (const each of files) {
      const isIn = each.endsWith('/') ? file.startsWith(each) : file === each;
      if (isIn && each.length > longest) [found, longest] = [name, each.length];
    }
  }
  return found;
}

/** The layers that exist. */
export const PRESENT = Object.keys(LAYERS).filter((name) => LAYERS[name].state !== 'planned');

/**
 * The table in docs/architecture.md: the files of each layer, the layers and the packages that they may
 * import.
 *
 * @returns {{ head: string[], rows: string[][] }}
 */
export function layerTable() {
  const code = (/** @type {readonly string[]} */ names) => names.map((name) => `\`${name}\``).join(', ');
  const rows = PRESENT.map((name) => {
    const { files, below, packages = [] } = LAYERS[name];
    // Who may import the ground may import the contract.
    const shown = below.filter(
      (each) => PRESENT.includes(each) && !(each === 'contract' && below.includes('ground')),
    );
    return [name, code(files), shown.join(', ') || 'nothing', code(packages) || 'none'];
  });
  return { head: ['Layer', 'Files', 'Imports from', 'Packages'], rows };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { head, rows } = layerTable();
  const table = markdownTable(head, rows);
  console.log(table);
  if (process.argv.includes('--write')) {
    writeBlock(fileURLToPath(new URL('../docs/architecture.md', import.meta.url)), 'layers', table);
  }
}
