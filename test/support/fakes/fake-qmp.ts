// QEMU's end of QMP on a real unix socket.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Command {
  execute: string;
  id: number;
  arguments?: Record<string, unknown>;
}

type Answer = { return: unknown } | { error: { class: string; desc: string } } | undefined;

export class FakeQmp {
  readonly directory = mkdtempSync(join(tmpdir(), 'fake-qmp-'));
  readonly socketPath = join(this.directory, 'qmp.sock');
  readonly commands: Command[] = [];
  /** Chunks as they came, for how commands are written. */
  readonly chunks: string[] = [];
  /** Undefined: no answer at all. Commands that are not named are answered with an empty return. */
  answer: (command: Command) => Answer = () => ({ return: {} });
  greeting: string | undefined = '{"QMP": {"version": {}, "capabilities": ["oob"]}}\n';
  readonly #server: Server;
  #socket: Socket | undefined;

  private constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(): Promise<FakeQmp> {
    const qmp = new FakeQmp();
    qmp.#server.listen(qmp.socketPath);
    await once(qmp.#server, 'listening');
    return qmp;
  }

  send(message: object | string): void {
    this.#socket?.write(typeof message === 'string' ? message : `${JSON.stringify(message)}\n`);
  }

  event(event: string, data: object = {}): void {
    this.send({ event, data, timestamp: { seconds: 1, microseconds: 0 } });
  }

  drop(): void {
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #accept(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', () => undefined);
    if (this.greeting !== undefined) socket.write(this.greeting);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk.toString());
      text += chunk.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const command = JSON.parse(text.slice(0, end)) as Command;
        text = text.slice(end + 1);
        this.commands.push(command);
        const answer = this.answer(command);
        if (answer !== undefined) this.send({ ...answer, id: command.id });
      }
    });
  }
}
