// HostConfig.SecurityOpt. A VM has neither AppArmor nor SELinux, so their options are checked and have no effect, as
// on a host without them.

import { runcRefusal } from '../docker/runtime-text';
import { DaemonError } from '../errors';
import { parseGoBool } from '../go/bool';

export interface SecurityOptions {
  noNewPrivileges: boolean;
  seccomp: 'default' | 'unconfined' | { profileText: string };
}

/** Throws Internal `invalid --security-opt …` as Docker does at create. A profile's text is not looked at. */
export function parseSecurityOptions(options: readonly string[] | null | undefined): SecurityOptions {
  const parsed: SecurityOptions = { noNewPrivileges: false, seccomp: 'default' };
  for (const option of options ?? []) {
    if (option === 'no-new-privileges') {
      parsed.noNewPrivileges = true;
      continue;
    }
    if (option === 'disable') continue; // the old form of label=disable
    const separator = option.includes('=') ? option.indexOf('=') : option.indexOf(':');
    if (separator < 0) throw new DaemonError('Internal', `invalid --security-opt 1: "${option}"`);
    const value = option.slice(separator + 1);
    switch (option.slice(0, separator)) {
      case 'label':
      case 'apparmor':
        break;
      case 'seccomp':
        if (value === 'unconfined') parsed.seccomp = 'unconfined';
        else parsed.seccomp = { profileText: value };
        break;
      case 'no-new-privileges':
        parsed.noNewPrivileges = parseGoBool(value) ?? refuse(option);
        break;
      default:
        refuse(option);
    }
  }
  return parsed;
}

function refuse(option: string): never {
  throw new DaemonError('Internal', `invalid --security-opt 2: "${option}"`);
}

const seccompActions = new Set([
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_LOG',
  'SCMP_ACT_NOTIFY',
]);

/** The profile for the agent. Throws Internal in Docker's words when the text is no profile; Docker says it at start. */
export function seccompProfile(
  seccomp: SecurityOptions['seccomp'],
): 'default' | 'unconfined' | Record<string, unknown> {
  if (typeof seccomp === 'string') return seccomp;
  let profile: unknown;
  try {
    profile = JSON.parse(seccomp.profileText);
  } catch (error) {
    throw new DaemonError(
      'Internal',
      `Decoding seccomp profile failed: ${jsonComplaint(seccomp.profileText)}`,
      {
        cause: error,
      },
    );
  }
  if (profile === null) return 'unconfined';
  if (typeof profile !== 'object' || Array.isArray(profile)) {
    throw new DaemonError(
      'Internal',
      `Decoding seccomp profile failed: json: cannot unmarshal ${jsonKind(profile)} into Go value of type seccomp.Seccomp`,
    );
  }
  const record = profile as Record<string, unknown>; // an object that is no array
  const action = record['defaultAction'];
  const syscalls = record['syscalls'];
  // As runc has it: a profile that says nothing filters nothing.
  if ((action ?? '') === '' && (!Array.isArray(syscalls) || syscalls.length === 0)) return 'unconfined';
  if (typeof action !== 'string' || !seccompActions.has(action)) {
    throw runcRefusal(`string ${typeof action === 'string' ? action : ''} is not a valid action for seccomp`);
  }
  return record;
}

function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** The commonest of Go's complaints about JSON; clients only show it. */
function jsonComplaint(text: string): string {
  const trimmed = text.trimStart();
  if (trimmed === '') return 'unexpected end of JSON input';
  const first = trimmed.charAt(0);
  const literal = ['null', 'true', 'false'].find((word) => word.startsWith(first));
  if (literal !== undefined) {
    const wrong = literal.split('').findIndex((letter, index) => trimmed.charAt(index) !== letter);
    if (wrong > 0 && wrong < trimmed.length) {
      return `invalid character '${trimmed.charAt(wrong)}' in literal ${literal} (expecting '${literal.charAt(wrong)}')`;
    }
  }
  if (first !== '{') return `invalid character '${first}' looking for beginning of value`;
  const next = trimmed.slice(1).trimStart().charAt(0);
  if (next !== '"' && next !== '}' && next !== '') {
    return `invalid character '${next}' looking for beginning of object key string`;
  }
  return 'unexpected end of JSON input';
}
