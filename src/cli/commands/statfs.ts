import { Option } from 'commander';
import { MetricsStatFs } from '../../index.js';
import { MEASURE_OPTIONS, type CliCommand, type MeasureOptions } from '../command.js';
import { volumesAnswer } from '../output/volumes.js';

interface Options extends MeasureOptions {
  readonly requireMount?: true;
}

export const STATFS: CliCommand<Options> = {
  name: 'statfs',
  operand: { name: 'PATH', text: 'anything on the filesystem' },
  summary: 'size and use of the filesystem that holds each PATH',
  description:
    'Asks the filesystem that holds each PATH for its size, use and inodes, with one system call. USE% is what df(1) ' +
    'shows: the used part of what unprivileged users can have.',
  options: [
    new Option('--require-mount', 'fail unless something is mounted right at PATH'),
    ...MEASURE_OPTIONS,
  ],
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
