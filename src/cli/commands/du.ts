import { Option } from 'commander';
import { MetricsDu, MetricsStatFs } from '../../index.js';
import { measureOptions, wholeNumber, type CliCommand, type MeasureOptions } from '../command.js';
import { Progress } from '../output/progress.js';
import { volumesAnswer } from '../output/volumes.js';

interface Options extends MeasureOptions {
  readonly allowPartial?: true;
  readonly threads?: number;
}

export const DU: CliCommand<Options> = {
  name: 'du',
  operand: { name: 'PATH', text: 'a directory or a file' },
  summary: 'what the tree at each PATH uses',
  description:
    'Walks the tree at each PATH and adds up its blocks and inodes. It does not follow symlinks below PATH, leaves out ' +
    'what is mounted below it, and counts a file with several hard links once. CAPACITY, AVAILABLE and INODES are those of the ' +
    'filesystem that holds PATH; USE% is the share of its capacity that the tree uses.\n\n' +
    'Before the walk, du asks the filesystem for its size, and waits up to --timeout. The walk itself may take as long ' +
    'as it needs, and ends only if it makes no progress for 30 seconds.',
  options: [
    new Option('--allow-partial', 'leave out what cannot be read, and say how many entries that is'),
    new Option('--threads <N>', 'how many threads share one walk, 1 to 64').argParser(wholeNumber(1, 64)),
    ...measureOptions('how long to wait for the filesystem, before the walk'),
  ],
  incomplete: 'some PATH gave no numbers; its STATE and the reason say why',
  examples: ['/var/log /home', '--allow-partial /var/lib/kubelet/pods'],
  run: async (paths, options, signal) => {
    const { timeout: timeoutMs, binding, allowPartial = false, threads } = options;
    const progress = new Progress(process.stderr);
    const volumes = paths.map((path, index) => ({
      path,
      provider: new MetricsDu(path, {
        ...{ timeoutMs, binding, allowPartial, threads },
        onProgress: (sofar) => {
          progress.update(index, sofar);
        },
      }),
      filesystem: new MetricsStatFs(path, { timeoutMs, binding }),
    }));
    try {
      return await volumesAnswer('du', volumes, options, signal);
    } finally {
      progress.end();
    }
  },
};
