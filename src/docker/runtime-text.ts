// What runc, dockerd's runtime, says of a container that can't be made: clients see it word for word.

import { DaemonError } from '../errors';

export function runcText(reason: string): string {
  return `failed to create shim task: OCI runtime create failed: runc create failed: ${reason}: unknown`;
}

/** Of a container's process. */
export function runcProcessText(reason: string): string {
  return runcText(`unable to start container process: ${reason}`);
}

/** A start that runc would refuse. */
export function runcRefusal(reason: string): DaemonError {
  return new DaemonError('Internal', runcText(reason));
}
