// A connection to the control socket of a file server: lines, each of which has a line for an answer.

import { connect, type Socket } from 'node:net';
import split2 from 'split2';
import { whenOver, type Clock } from '../../async/deadline';
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
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('closed')));
    socket.pipe(split2()).on('data', (line: string) => {
      this.#answers.push(line);
      if (this.#answers.length === this.#asked?.count) this.#asked.resolve(this.#answers);
    });
  }

  /** Sends the lines and resolves with as many answers; one call at a time. Rejects with Unavailable. `clock`: the server's. */
  ask(lines: readonly string[], timeoutMs: number, clock: Clock): Promise<string[]> {
    let stopTimer = (): void => undefined;
    return new Promise<string[]>((resolve, reject) => {
      this.#answers = [];
      this.#asked = { count: lines.length, resolve, reject };
      stopTimer = whenOver(timeoutMs, clock, () => this.#fail(new Error('timeout')));
      this.#socket.write(lines.map((line) => `${line}\n`).join(''));
    }).finally(() => {
      stopTimer();
      this.#asked = undefined;
    });
  }

  #fail(error: Error): void {
    const code = systemErrorCode(error) ?? errorMessage(error);
    this.#asked?.reject(
      new DaemonError('Unavailable', `the VM's file server does not answer: ${code}`, { cause: error }),
    );
    this.#socket.destroy();
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }
}
