// builds/: BuildKit as Docker's API has it, and its steps' own words, whatever runs them.

import { startFailure } from '../containers/runtime-errors';
import { defaultPath } from '../../translate/environment';

/** BuildKit's default. */
export const defaultStepHostname = 'buildkitsandbox';

/** What a step's own variables replace. */
export function stepEnvironment(terminal: boolean): string[] {
  return [`PATH=${defaultPath}`, ...(terminal ? ['TERM=xterm'] : [])];
}

/** What the runtime would have said of a step that can't be started, as BuildKit shows it: without dockerd's part of it. */
export function stepStartFailure(error: unknown): string {
  const { message } = startFailure(error).error;
  const [, reason] =
    /^failed to create shim task: OCI runtime create failed: runc create failed: (.*): unknown$/s.exec(
      message,
    ) ?? [];
  return reason === undefined ? message : `runc run failed: ${reason}`;
}
