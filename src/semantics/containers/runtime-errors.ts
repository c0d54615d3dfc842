// What a failure in the guest is in Docker's words, and the exit code it leaves in the record.

import { runcProcessText } from '../../docker/runtime-text';
import { DaemonError, errorMessage } from '../../errors';
import { AgentError } from '../../vm/contract/agent-error';

export interface StartFailure {
  error: DaemonError;
  /** What inspect and `docker run` show: 127 not found, 126 can't be run, 128 anything else. */
  exitCode: number;
}

const mountHint =
  ': Are you trying to mount a directory onto a file (or vice-versa)? ' +
  'Check if the specified host path exists and is the expected type';

/** Of a start that failed for no reason that has a code of its own. */
export const generalFailureCode = 128;

const errnoTexts: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  EIO: 'input/output error',
  ENXIO: 'no such device or address',
  E2BIG: 'argument list too long',
  ENOEXEC: 'exec format error',
  EAGAIN: 'resource temporarily unavailable',
  ENOMEM: 'cannot allocate memory',
  EACCES: 'permission denied',
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  ENODEV: 'no such device',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  EINVAL: 'invalid argument',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  ERANGE: 'numerical result out of range',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ENOSYS: 'function not implemented',
  ETIMEDOUT: 'connection timed out',
  ESRCH: 'no such process',
};

/** An errno's name as Go words it. */
export function errnoText(code: string): string {
  return errnoTexts[code] ?? code.toLowerCase();
}

/** `plain`: Docker finds it before it calls a runtime, so nothing is put around the text. */
function guestReason(error: AgentError): { text: string; plain: boolean } {
  const { code, phase, message } = error.failure;
  // The agent words what concerns the command and the user as Docker and its runtime do.
  if (phase === 'exec') return { text: message, plain: false };
  if (phase === 'user') return { text: message, plain: true };
  const reason = errnoText(code);
  // Where the agent has said it too, in C's spelling.
  const attempted = message.toLowerCase().endsWith(`: ${reason}`)
    ? message.slice(0, -reason.length - 2)
    : message;
  return { text: `error during container init: ${attempted}: ${reason}`, plain: false };
}

/** Whatever a start threw, as the client and the record see it. `reword` puts the host's names for the guest's. */
export function startFailure(error: unknown, reword = (text: string): string => text): StartFailure {
  if (!(error instanceof AgentError)) {
    const known =
      error instanceof DaemonError
        ? error
        : new DaemonError('Internal', errorMessage(error), { cause: error });
    return { error: known, exitCode: exitCodeOf(known.message) };
  }
  const { text: told, plain } = guestReason(error);
  const text = reword(told);
  if (plain)
    return { error: new DaemonError('Internal', text, { cause: error }), exitCode: generalFailureCode };
  const message = `${runcProcessText(text)}${text.includes('not a directory') ? mountHint : ''}`;
  const exitCode = exitCodeOf(message);
  return {
    error: new DaemonError(exitCode === generalFailureCode ? 'Internal' : 'InvalidParameter', message, {
      cause: error,
    }),
    exitCode,
  };
}

/** The same for an exec; Docker records 126 whatever the reason. */
export function execFailure(error: unknown): DaemonError {
  if (!(error instanceof AgentError)) {
    return error instanceof DaemonError
      ? error
      : new DaemonError('Internal', errorMessage(error), { cause: error });
  }
  const { text, plain } = guestReason(error);
  if (plain) return new DaemonError('Internal', text, { cause: error });
  const message = `OCI runtime exec failed: exec failed: unable to start container process: ${text}: unknown`;
  const code = exitCodeOf(message) === generalFailureCode ? 'Internal' : 'InvalidParameter';
  return new DaemonError(code, message, { cause: error });
}

function exitCodeOf(message: string): number {
  if (!message.includes('OCI runtime')) return generalFailureCode;
  const missing = ['executable file not found', 'no such file or directory', 'not a directory'];
  if (missing.some((text) => message.includes(text))) return 127;
  return message.includes('permission denied') ? 126 : generalFailureCode;
}

/** As Docker reports a start that fails for its log: the reason alone goes to the client. */
export function logStartError(reason: string): string {
  return `failed to initialize logging driver: ${reason}`;
}
