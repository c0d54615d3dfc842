// What a supervisor answers, checked: it may be the container itself that answers.

import { AgentError } from '../../vm/contract/agent-error';
import { SupervisorProtocolError } from './frame';
import type { FollowStart, ProcessExit, SupervisorFailure, SupervisorState } from './protocol';

type Fields = Readonly<Record<string, unknown>>;

const states: readonly string[] = [
  'never',
  'starting',
  'running',
  'exited',
] satisfies SupervisorState['state'][];
const phases: readonly string[] = [
  'request',
  'disk',
  'mount',
  'network',
  'namespace',
  'user',
  'cgroup',
  'security',
  'exec',
  'io',
] satisfies SupervisorFailure['phase'][];

/** Throws SupervisorProtocolError for what is no JSON object. */
export function parseObject(content: Buffer): Fields {
  let value: unknown;
  try {
    value = JSON.parse(content.toString('utf8'));
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SupervisorProtocolError('an answer that is no object');
  }
  return value as Fields; // an object of unknown members
}

export function integerField(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new SupervisorProtocolError(`an answer without ${name}`);
}

export function booleanField(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value === 'boolean') return value;
  throw new SupervisorProtocolError(`an answer without ${name}`);
}

export function textField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw new SupervisorProtocolError(`an answer without ${name}`);
}

function timeField(fields: Fields, name: string): bigint {
  const text = textField(fields, name);
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new SupervisorProtocolError(`an answer without ${name}`);
}

export function parseState(fields: Fields): SupervisorState {
  const state = textField(fields, 'state');
  if (!states.includes(state)) throw new SupervisorProtocolError('an answer with no known state');
  return {
    state: state as SupervisorState['state'], // one of them
    run: integerField(fields, 'run'),
    pid: integerField(fields, 'pid'),
    startedAt: timeField(fields, 'startedAt'),
    finishedAt: timeField(fields, 'finishedAt'),
    code: integerField(fields, 'code'),
    signal: integerField(fields, 'signal'),
    oom: booleanField(fields, 'oom'),
    first: integerField(fields, 'first'),
    end: integerField(fields, 'end'),
  };
}

export function parseFollowStart(fields: Fields): FollowStart {
  return {
    ...parseState(fields),
    position: integerField(fields, 'position'),
    skip: integerField(fields, 'skip'),
  };
}

export function parseExit(fields: Fields): ProcessExit {
  return {
    code: integerField(fields, 'code'),
    signal: integerField(fields, 'signal'),
    message: textField(fields, 'message'),
  };
}

/** The refusal as the error that Docker's words are made of. */
export function parseFailure(content: Buffer): AgentError {
  const fields = parseObject(content);
  const phase = textField(fields, 'phase');
  if (!phases.includes(phase)) throw new SupervisorProtocolError('a failure in no known phase');
  return new AgentError({
    code: textField(fields, 'code'),
    phase: phase as SupervisorFailure['phase'], // one of them
    message: textField(fields, 'message'),
  });
}
