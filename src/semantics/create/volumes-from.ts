// `--volumes-from`: whose volumes, and how.

import { DaemonError } from '../../errors';

/** `CONTAINER[:MODE]`. Throws InvalidParameter in Docker's words. */
export function parseVolumesFrom(text: string): { ref: string; readOnly: boolean } {
  if (text === '') {
    throw new DaemonError('InvalidParameter', 'volumes-from specification cannot be an empty string');
  }
  const [ref = '', ...mode] = text.split(':');
  if (mode.length > 1 || (mode[0] !== undefined && !/^(ro|rw|z|Z)(,(ro|rw|z|Z))*$/.test(mode[0]))) {
    throw new DaemonError('InvalidParameter', `invalid mode: ${mode.join(':')}`);
  }
  return { ref, readOnly: mode[0]?.split(',').includes('ro') ?? false };
}
