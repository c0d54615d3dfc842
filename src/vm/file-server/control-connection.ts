// A connection to the control socket of a file server: lines, each of which has a line for an answer.

import { connect, type Socket } from 'node:net';
import split2 from 'split2';
import { DaemonError, errorMessage, systemErrorCode } from '../../errors';

interface Asked {
  count: number;
  resolve: (answers: string[]) => void;
  reject: (error: DaemonError) => void;
}

export class ControlConnection {
  readonly #socket: Socket;
  #asked: Asked | undefined;
  #answers: string[] = [];

  constructor(path: string) {
    const socket = (this.#socket = connect(path));
    const fail = (error: unknown): void => {
      const code = systemErrorCode(error) ?? errorMessage(error);
      this.#asked?.reject(
        new DaemonError('Unavailable', `the VM's file server does not answer: ${code}`, { cause: error }),
      );
      socket.destroy();
    };
    socket.on('error', fail);
    socket.on('timeout', () => fail(new Error('timeout')));
    socket.on('close', () => fail(new Error('closed')));
    socket.pipe(split2()).on('data', (line: string) => {
      this.#answers.push(line);
      if (this.#answers.length === this.#asked?.count) this.#asked.resolve(this.#answers);
    });
  }

  /** Sends the lines and resolves with as many answers; one call at a time. Rejects with Unavailable. */
  ask(lines: readonly string[], timeoutMs: number): Promise<string[]> {
    return new Promise<string[]>((resolve, reject) => {
      this.#answers = [];
      this.#asked = { count: lines.length, resolve, reject };
      this.#socket.setTimeout(timeoutMs);
      this.#socket.write(lines.map((line) => `${line}\n`).join(''));
    }).finally(() => (this.#asked = undefined));
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }
}
