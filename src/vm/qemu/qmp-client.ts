// QEMU's monitor protocol (QMP): JSON lines on a unix socket. Commands may be written all at once; QEMU answers in order.

import { connect, type Socket } from 'node:net';
import split2 from 'split2';
import { wallClock, whenOver, type Clock } from '../../async/deadline';
import { DaemonError, errorMessage } from '../../errors';

export interface QmpCommand {
  execute: string;
  arguments?: Record<string, unknown>;
}

export interface QmpEvent {
  event: string;
  data: Record<string, unknown>;
}

/** QEMU refused a command. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly errorClass: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`QMP ${command}: ${description}`);
    this.errorClass = errorClass;
  }
}

/** Longest line that QEMU has reason to write. */
const maxLineBytes = 4 * 1024 * 1024;
/** QEMU answers at once when it has a CPU; one that hangs must not hang the daemon's caller. */
const defaultTimeoutMs = 30_000;

interface Pending {
  command: string;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  stopTimer: () => void;
}

export class QmpClient {
  /** Resolves when the connection is over: QEMU is gone, or `close` was called. */
  readonly closed: Promise<void>;
  /** QEMU's own time. */
  readonly clock: Clock;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #nextId = 1;
  #failure: Error | undefined;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.clock = clock;
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#fail(new DaemonError('Unavailable', 'QEMU has closed its monitor'));
        resolve();
      });
    });
    socket.on('error', (error) =>
      this.#fail(new DaemonError('Unavailable', `QMP: ${error.message}`, { cause: error })),
    );
  }

  /**
   * Connects and negotiates. The socket appears some ms after QEMU's start, so a refused connection is tried again
   * until `timeoutMs` have passed or `signal` aborts. `clock`: of QEMU's process; all commands go by it.
   */
  static async connect(
    path: string,
    options: { timeoutMs: number; signal?: AbortSignal; clock?: Clock },
  ): Promise<QmpClient> {
    const clock = options.clock ?? wallClock;
    const elapsed = clock();
    for (;;) {
      const leftMs = Math.max(1, options.timeoutMs - elapsed());
      try {
        return await QmpClient.#connectOnce(path, leftMs, clock, options.signal);
      } catch (error) {
        if (options.signal?.aborted === true || elapsed() >= options.timeoutMs) {
          throw new DaemonError('Unavailable', `connect to QEMU's monitor: ${errorMessage(error)}`, {
            cause: error,
          });
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  static #connectOnce(
    path: string,
    timeoutMs: number,
    clock: Clock,
    signal?: AbortSignal,
  ): Promise<QmpClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      const client = new QmpClient(socket, clock);
      let greeted = false;
      const fail = (error: Error): void => {
        stopTimer();
        signal?.removeEventListener('abort', giveUp);
        socket.destroy();
        reject(error);
      };
      const giveUp = (): void => fail(new Error('given up'));
      signal?.addEventListener('abort', giveUp);
      const stopTimer = whenOver(timeoutMs, clock, () => fail(new Error('no greeting')));
      socket.once('error', fail);
      void client.closed.then(() => {
        if (!greeted) fail(new Error('closed before the greeting'));
      });
      const lines = socket.pipe(split2({ maxLength: maxLineBytes }));
      lines.on('error', (error: Error) => socket.destroy(error));
      lines.on('data', (line: string) => {
        const message = parseLine(line);
        if (message === undefined) return;
        if (!greeted && 'QMP' in message) {
          greeted = true;
          stopTimer();
          signal?.removeEventListener('abort', giveUp);
          socket.removeListener('error', fail);
          client.execute('qmp_capabilities').then(() => resolve(client), reject);
          return;
        }
        client.#receive(message);
      });
    });
  }

  /** Rejects with QmpError when QEMU refuses, with Unavailable when it is gone. */
  execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    const [result] = this.#write([{ execute: command, ...(args === undefined ? {} : { arguments: args }) }]);
    return result ?? Promise.resolve(undefined);
  }

  /** Writes all commands at once. Resolves when all were carried out; rejects with the first error when all are answered. */
  async executeAll(commands: readonly QmpCommand[]): Promise<void> {
    const results = await Promise.allSettled(this.#write(commands));
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  /** Returns what ends the listening. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether the connection is over, or about to be. */
  get isOver(): boolean {
    return this.#failure !== undefined;
  }

  close(): void {
    this.#socket.destroy();
  }

  #write(commands: readonly QmpCommand[]): Promise<unknown>[] {
    const lines: string[] = [];
    const results = commands.map((command) => {
      const id = this.#nextId;
      this.#nextId += 1;
      lines.push(`${JSON.stringify({ ...command, id })}\n`);
      return new Promise<unknown>((resolve, reject) => {
        if (this.#failure !== undefined) {
          reject(this.#failure);
          return;
        }
        const stopTimer = whenOver(defaultTimeoutMs, this.clock, () => {
          this.#pending.delete(id);
          const seconds = defaultTimeoutMs / 1000;
          reject(new DaemonError('Unavailable', `QEMU has not answered ${command.execute} for ${seconds} s`));
        });
        this.#pending.set(id, { command: command.execute, resolve, reject, stopTimer });
      });
    });
    if (this.#failure === undefined) this.#socket.write(lines.join(''));
    return results;
  }

  #receive(message: Record<string, unknown>): void {
    if (typeof message['event'] === 'string') {
      const data = typeof message['data'] === 'object' && message['data'] !== null ? message['data'] : {};
      const event: QmpEvent = { event: message['event'], data: { ...data } };
      for (const listener of [...this.#listeners]) listener(event);
      return;
    }
    const pending = typeof message['id'] === 'number' ? this.#pending.get(message['id']) : undefined;
    if (pending === undefined) return;
    this.#pending.delete(message['id'] as number); // it is one: it was found
    pending.stopTimer();
    const error = message['error'];
    if (typeof error === 'object' && error !== null) {
      const { class: errorClass, desc } = error as { class?: string; desc?: string };
      pending.reject(new QmpError(pending.command, errorClass ?? 'GenericError', desc ?? 'refused'));
    } else {
      pending.resolve(message['return']);
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const pending of this.#pending.values()) {
      pending.stopTimer();
      pending.reject(error);
    }
    this.#pending.clear();
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // QEMU prints nothing else here; a torn line at its end is of no use
  }
}
