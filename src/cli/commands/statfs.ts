import { Option } from 'commander';
import { MetricsStatFs } from '../../index.js';
import { measureOptions, type CliCommand, type MeasureOptions } from '../command.js';
import { volumesAnswer } from '../output/volumes.js';

interface Options extends MeasureOptions {
  readonly requireMount?: true;
}

export const STATFS: CliCommand<Options> = {
  name: 'statfs',
  operand: { name: 'PATH', text: 'any file or directory on the filesystem' },
  summary: 'size and use of the filesystem that holds each PATH',
  description:
    'Asks the filesystem that holds each PATH for its size, use and inodes, with one system call. USE% is what df(1) ' +
    'shows: it leaves out the space that is reserved for root.',
  options: [new Option('--require-mount', 'fail unless PATH is a mount point'), ...measureOptions()],
  incomplete: 'some PATH gave no numbers; its STATE and the reason say why',
  examples: ['/', '--require-mount /mnt/data'],
  run: (paths, options, signal) => {
    const { timeout: timeoutMs, binding, requireMount = false } = options;
    const volumes = paths.map((path) => ({
      path,
      provider: new MetricsStatFs(path, { timeoutMs, binding, requireMount }),
    }));
    return volumesAnswer('statfs', volumes, options, signal);
  },
};
