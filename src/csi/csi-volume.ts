import { MetricsError } from '../errors.js';
import { checkedText } from '../options.js';

/** A volume as CSI names it. */
export interface CsiVolume {
  /** The volume's id in the driver: a PersistentVolume's `volumeHandle`. */
  readonly volumeId: string;
  /** Where it is staged or published: absolute, as the driver's process sees it. */
  readonly volumePath: string;
  /** Where it is staged, if it is. Some drivers cannot find the device without it. */
  readonly stagingTargetPath?: string | undefined;
}

/**
 * A volume with all of its texts; a staging path that is not given is empty, as on the wire.
 *
 * @throws TypeError naming what is no string
 */
export function volumeTexts({
  volumeId,
  volumePath,
  stagingTargetPath = '',
}: CsiVolume): Readonly<Record<keyof CsiVolume, string>> {
  return {
    volumeId: checkedText('volumeId', volumeId),
    volumePath: checkedText('volumePath', volumePath),
    stagingTargetPath: checkedText('stagingTargetPath', stagingTargetPath),
  };
}

/**
 * A volume that can be asked about.
 *
 * @throws TypeError as {@link volumeTexts}; MetricsError with the kubelet's texts, kubernetes pkg/volume/csi/csi_client.go
 */
export function checkedVolume(volume: CsiVolume): Readonly<Record<keyof CsiVolume, string>> {
  const texts = volumeTexts(volume);
  if (texts.volumeId === '') throw new MetricsError('METRICS_NO_PATH_DEFINED', 'missing volume id');
  if (texts.volumePath === '') throw new MetricsError('METRICS_NO_PATH_DEFINED', 'missing target path');
  return texts;
}
