// Which platforms builders are told to be here.

import type { Platform } from '../../buildkit/contract/llb';
import { emulatedArchitectures, type EmulatorConfig } from '../core/emulators';

const armVariants = ['v7', 'v6'];

/** The host's first; then those for which there are emulators when this is asked. */
export function buildPlatforms(config: EmulatorConfig): Platform[] {
  const platform = (Architecture: string, Variant = ''): Platform => ({
    OS: 'linux',
    Architecture,
    Variant,
    OSVersion: '',
    OSFeatures: [],
  });
  const foreign = emulatedArchitectures(config).flatMap((architecture) =>
    architecture === 'arm'
      ? armVariants.map((variant) => platform(architecture, variant))
      : [platform(architecture)],
  );
  return [platform('amd64'), ...foreign];
}
