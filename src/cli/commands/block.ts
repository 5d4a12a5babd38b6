import { MetricsBlock } from '../../index.js';
import { MEASURE_OPTIONS, type CliCommand, type MeasureOptions } from '../command.js';
import { volumesAnswer } from '../output/volumes.js';

export const BLOCK: CliCommand<MeasureOptions> = {
  name: 'block',
  operand: { name: 'DEVICE', text: 'a block device, or a regular file that is the image of one' },
  summary: 'capacity of each block device or image file',
  description: 'Says how large each DEVICE is, without opening it.',
  options: MEASURE_OPTIONS,
  incomplete: 'some DEVICE has no size; its STATE and the reason say why',
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
