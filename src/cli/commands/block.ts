import { MetricsBlock } from '../../index.js';
import { measureOptions, type CliCommand, type MeasureOptions } from '../command.js';
import { volumesAnswer } from '../output/volumes.js';

export const BLOCK: CliCommand<MeasureOptions> = {
  name: 'block',
  operand: { name: 'DEVICE', text: 'a block device, or a file that holds a disk image' },
  summary: 'capacity of each block device or image file',
  description: 'Shows how large each DEVICE is, without opening it.',
  options: measureOptions(),
  incomplete: 'some DEVICE gave no size; its STATE and the reason say why',
  examples: ['/dev/sda1 disk.img'],
  run: (devices, options, signal) => {
    const { timeout: timeoutMs, binding } = options;
    const volumes = devices.map((path) => ({
      path,
      provider: new MetricsBlock(path, { timeoutMs, binding }),
    }));
    return volumesAnswer('block', volumes, options, signal);
  },
};
