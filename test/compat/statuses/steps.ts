// What the tables of statuses are made of: an operation's documented statuses, and how a client comes to see each.

import type { HttpCase, HttpSteps } from '../harness/cases';

/** A status that no request of a test brings about, and why. */
export interface Unseen {
  unseen: string;
}

/** By operationId, then by status: requests of which the last is the operation's and has the status. */
export type StatusTable = Readonly<Record<string, Readonly<Record<number, HttpSteps | Unseen>>>>;

export function isUnseen(entry: HttpSteps | Unseen): entry is Unseen {
  return typeof entry === 'object' && 'unseen' in entry;
}

export function unseen(why: string): Unseen {
  return { unseen: why };
}

/** What most operations have 500 for. */
export const engineFault = unseen('An error of the engine itself; no request brings it about.');

const sleeper = { Image: 'busybox', Cmd: ['sleep', '600'], StopSignal: 'SIGKILL' };

export const created = create(sleeper);
export const started = [created, 'POST /containers/$c/start'] as const;
/** Runs, and has its exec's id in `$id`. */
export const withExec = [
  ...started,
  { request: 'POST /containers/$c/exec', body: { Cmd: ['true'], AttachStdout: true } },
] as const;

export function create(body: object, name = '$c'): HttpCase {
  return { request: `POST /containers/create?name=${name}`, body };
}

/** The answer is not JSON, or says what differs from one engine or moment to the next: only its status is compared. */
export function only(request: string | HttpCase): HttpCase {
  return { ...(typeof request === 'string' ? { request } : request), statusOnly: true };
}

/** With a body that is not JSON. */
export function malformed(request: string): HttpCase {
  return { request, body: '{', headers: { 'Content-Type': 'application/json' } };
}

/** Asks to take the connection over. */
export function upgraded(request: string, protocol = 'tcp'): HttpCase {
  return { request, headers: { Connection: 'Upgrade', Upgrade: protocol } };
}

/** The handshake of RFC 6455, with its example's key. */
export function webSocket(request: string): HttpCase {
  return {
    request,
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      Origin: 'http://docker',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  };
}
