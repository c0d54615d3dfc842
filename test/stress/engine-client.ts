// A client of the engine that knows what was killed: each request ends as it should, or for a known reason, or is a fault.

import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { socketPathOf } from '../support/wire/http-client';
import { Disturbed, Interrupted, type Ledger } from './ledger';

export interface Reply {
  status: number;
  body: Buffer;
}

export interface Asked {
  /** JSON, or bytes as they are. */
  body?: unknown;
  /** Besides 2xx. */
  accepts?: readonly number[];
  /** Whose end would explain a failure: ids of containers. */
  on?: readonly string[] | 'any';
}

/** What each stream of a container said. */
export interface Output {
  stdout: string;
  stderr: string;
  /** False: the connection broke. */
  isWhole: boolean;
}

/** Long enough for anything on a host that is oversubscribed; what takes longer hangs. */
export const longestMs = 240_000;

export class EngineClient {
  readonly who: string;
  readonly ledger: Ledger;
  readonly #socketPath: string;

  constructor(host: string, who: string, ledger: Ledger) {
    this.#socketPath = socketPathOf(host);
    this.who = who;
    this.ledger = ledger;
  }

  /** Throws Interrupted or Disturbed, and notes a fault (and throws Disturbed) where nothing explains the failure. */
  async ask(method: string, path: string, asked: Asked = {}): Promise<Reply> {
    const since = performance.now();
    this.ledger.step(this.who, `${method} ${path}`);
    try {
      const reply = await collected(await this.#send(method, path, asked.body));
      const { status, body } = reply;
      if ((status >= 200 && status < 300) || asked.accepts?.includes(status) === true) return reply;
      throw new Error(`${status} ${body.toString().trim().slice(0, 300)}`);
    } catch (error) {
      throw this.explained(`${method} ${path}`, error as Error, since, asked.on ?? []);
    }
  }

  async json<T>(method: string, path: string, asked?: Asked): Promise<T> {
    return JSON.parse((await this.ask(method, path, asked)).body.toString()) as T;
  }

  /** Until the end of the stream; `onText` is told of each piece of the standard output as it comes. */
  async output(path: string, on: readonly string[], onText?: (text: string) => void): Promise<Output> {
    const since = performance.now();
    this.ledger.step(this.who, `GET ${path}`);
    try {
      const reply = await this.#send('GET', path, undefined);
      if (reply.statusCode !== 200) throw new Error((await collected(reply)).body.toString());
      return await readFrames(reply, onText);
    } catch (error) {
      throw this.explained(`GET ${path}`, error as Error, since, on);
    }
  }

  /** Attached to what the path names: resolves when the engine has taken the connection over. */
  async hijack(path: string, body: unknown, on: readonly string[]): Promise<{ output: Promise<Output> }> {
    const since = performance.now();
    this.ledger.step(this.who, `POST ${path}`);
    try {
      const socket = await this.#upgrade(path, body);
      return { output: readFrames(socket) };
    } catch (error) {
      throw this.explained(`POST ${path}`, error as Error, since, on);
    }
  }

  /** Lines of JSON as they come, until the connection breaks or `signal`. */
  async lines(path: string, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    const reply = await this.#send('GET', path, undefined, signal);
    let rest = '';
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      parts.forEach(onLine);
    }
  }

  /** What a failure is taken for, of something that was asked for at that time. */
  explained(what: string, error: Error, since: number, on: readonly string[] | 'any'): Error {
    if (this.ledger.wasAway(since)) return new Interrupted(`${what}: ${error.message}`, { cause: error });
    const kill = this.ledger.disturbance(since, on);
    if (kill === undefined) this.ledger.fault(this.who, `${what}: ${error.message}`);
    return new Disturbed(`${what}: ${error.message}`, { cause: error });
  }

  #request(method: string, path: string, body: unknown, headers: Record<string, string>): ClientRequest {
    const isRaw = Buffer.isBuffer(body) || body === undefined;
    const type = isRaw ? 'application/x-tar' : 'application/json';
    const outgoing = request({
      socketPath: this.#socketPath,
      method,
      path: `/v1.41${path}`,
      headers: { Host: 'docker', ...(body === undefined ? {} : { 'Content-Type': type }), ...headers },
      agent: false,
    });
    outgoing.end(isRaw ? body : JSON.stringify(body));
    return outgoing;
  }

  #send(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = this.#request(method, path, body, {});
      const timer = setTimeout(() => outgoing.destroy(new Error('did not end')), longestMs);
      signal?.addEventListener('abort', () => outgoing.destroy(new Error('given up')), { once: true });
      outgoing.once('response', (reply) => {
        resolve(reply);
        if (signal !== undefined) clearTimeout(timer);
      });
      outgoing.once('close', () => clearTimeout(timer));
      outgoing.on('error', reject);
    });
  }

  #upgrade(path: string, body: unknown): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const outgoing = this.#request('POST', path, body, { Connection: 'Upgrade', Upgrade: 'tcp' });
      const timer = setTimeout(() => outgoing.destroy(new Error('did not end')), longestMs);
      outgoing.once('upgrade', (_, socket, head) => {
        clearTimeout(timer);
        if (head.length > 0) socket.unshift(head);
        const late = setTimeout(() => socket.destroy(new Error('did not end')), longestMs);
        socket.once('close', () => clearTimeout(late));
        resolve(socket);
      });
      outgoing.once('response', (reply) => {
        void collected(reply).then(
          ({ status, body: text }) => reject(new Error(`${status} ${text.toString()}`)),
          reject,
        );
      });
      outgoing.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
  }
}

async function collected(reply: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = [];
  for await (const chunk of reply as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: reply.statusCode ?? 0, body: Buffer.concat(chunks) };
}

/** Docker's stream format: eight bytes before each piece say whose it is and how long. */
async function readFrames(stream: AsyncIterable<Buffer>, onText?: (text: string) => void): Promise<Output> {
  let rest = Buffer.alloc(0);
  const output: Output = { stdout: '', stderr: '', isWhole: true };
  try {
    for await (const chunk of stream) {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
        const end = 8 + rest.readUInt32BE(4);
        const text = rest.subarray(8, end).toString();
        if (rest[0] === 2) output.stderr += text;
        else {
          output.stdout += text;
          onText?.(text);
        }
        rest = rest.subarray(end);
      }
    }
  } catch (error) {
    if ((error as Error).message === 'did not end') throw error;
    output.isWhole = false;
  }
  output.isWhole &&= rest.length === 0;
  return output;
}
