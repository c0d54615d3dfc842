// builds/: BuildKit as Docker's API has it, and its steps' own words, whatever runs them.

import { BuildError } from '../../buildkit/contract/errors';
import type { StepProcess } from '../../buildkit/contract/executor';
import { errorMessage } from '../../errors';
import { startFailure } from '../containers/runtime-errors';
import { defaultPath, mergeEnvironment } from '../../translate/environment';
import { parseSignal } from '../../translate/signals';
import type { GuestProcess } from '../../vm/contract/protocol';

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

/** A further process of a step: what it doesn't say is as its first one's. */
export function besideFirst<First extends Pick<GuestProcess, 'cwd' | 'user'>>(
  first: First,
  { args, env, secretEnv, workingDir, user, terminal }: StepProcess,
): First & Pick<GuestProcess, 'args' | 'env' | 'cwd' | 'user' | 'terminal'> {
  return {
    ...first,
    args: [...args],
    env: mergeEnvironment(stepEnvironment(terminal), [...env, ...secretEnv]),
    cwd: workingDir === '' ? first.cwd : workingDir,
    user: user === '' ? first.user : user,
    terminal,
  };
}

/** Throws InvalidArgument for what names no signal. */
export function stepSignal(name: string): number {
  try {
    return parseSignal(name);
  } catch (error) {
    throw new BuildError('InvalidArgument', errorMessage(error), { cause: error });
  }
}
