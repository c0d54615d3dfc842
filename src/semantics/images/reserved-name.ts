// The name that no image may have.

import { DaemonError } from '../../errors';
import { parseReference } from '../../registry/reference';

/** Throws Forbidden in dockerd's words for `scratch`, which stands for no image, under whatever tag. */
export function refuseReservedName(reference: string): void {
  const { domain, path } = parseReference(reference);
  if (domain === 'docker.io' && path === 'library/scratch') {
    throw new DaemonError('Forbidden', "'scratch' is a reserved name");
  }
}
