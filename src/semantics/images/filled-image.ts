// An image's configuration, with all the members that dockerd writes into one that it makes.

import type { ImageConfig, ImageRunConfig } from '../../docker/image-config';
import { filledImageConfig } from './inspect';

export function filledImage(config: ImageConfig): ImageConfig {
  return {
    ...config,
    config: filledRunConfig(config.config),
    ...(config.container_config === undefined
      ? {}
      : { container_config: filledRunConfig(config.container_config) }),
  };
}

function filledRunConfig(config: ImageConfig['config']): ImageRunConfig {
  // what is null there is null in Docker's images too
  return filledImageConfig(config) as ImageRunConfig;
}
