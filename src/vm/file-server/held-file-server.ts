// A file server that answers its guest nothing, over the connection that holds it: what the guest has open can be saved, or
// loaded into the server of a VM that goes on from there.

import { rm } from 'node:fs/promises';
import type { Clock } from '../../async/deadline';
import { DaemonError } from '../../errors';
import { ControlConnection } from './control-connection';
import { encodePath } from './encode-path';
import { handOver } from './share-opener';

/** The server gives up by itself before. */
const holdTimeoutMs = 20_000;
/** Opening a file, and handing it over. */
const fileTimeoutMs = 10_000;
/** Each file that the guest knows is looked for. */
const stateTimeoutMs = 120_000;

export class HeldFileServer {
  readonly #connection: ControlConnection;
  readonly #controlPath: string;
  readonly #openerPath: string;

  readonly #clock: Clock;

  private constructor(controlPath: string, openerPath: string, clock: Clock) {
    this.#clock = clock;
    this.#connection = new ControlConnection(controlPath);
    this.#controlPath = controlPath;
    this.#openerPath = openerPath;
  }

  /**
   * Resolves when all that the guest was at is answered, and has reached it: its vCPUs must run until then. What it asks
   * from now on waits until `release`, or until this daemon is gone.
   */
  static async hold(controlPath: string, openerPath: string, clock: Clock): Promise<HeldFileServer> {
    const held = new HeldFileServer(controlPath, openerPath, clock);
    try {
      const answer = await held.#command('hold', holdTimeoutMs);
      if (answer === 'ETIMEDOUT') {
        throw new DaemonError('Conflict', 'requests for files of its volumes or binds do not come to an end');
      }
      if (answer !== 'ok') throw new DaemonError('Internal', `hold the file server of the VM: ${answer}`);
    } catch (error) {
      held.release();
      throw error;
    }
    return held;
  }

  /**
   * Writes a new file, while the vCPUs are stopped. Rejects with Conflict when the guest has something open that no other
   * server could find.
   */
  async save(path: string): Promise<void> {
    const answer = await this.#withFile('save', path);
    if (answer === 'ok') return;
    if (answer !== 'EEXIST') await rm(path, { force: true });
    throw refusal(answer, 'save what it has open of its volumes or binds');
  }

  /** Into a server that has its shares, and whose guest has not run. Rejects with Conflict when something can't be taken up. */
  async load(path: string): Promise<void> {
    const answer = await this.#withFile('load', path);
    if (answer === 'EBADMSG') {
      throw new DaemonError('Internal', 'what the checkpoint says of open files is damaged');
    }
    if (answer !== 'ok') throw refusal(answer, 'what it had open of its volumes or binds');
  }

  release(): void {
    this.#connection.close();
  }

  /** The server gets the file opened: it could not open it itself. */
  async #withFile(verb: 'save' | 'load', path: string): Promise<string> {
    const line = `${verb} ${encodePath(path)}`;
    const [opened = ''] = await handOver(
      this.#openerPath,
      this.#controlPath,
      [line],
      fileTimeoutMs,
      this.#clock,
    );
    return opened === 'ok' ? this.#command(verb, stateTimeoutMs) : opened;
  }

  async #command(line: string, timeoutMs: number): Promise<string> {
    const [answer = ''] = await this.#connection.ask([line], timeoutMs, this.#clock);
    return answer;
  }
}

/** `ERRNO`, or `ERRNO REASON`. */
function refusal(answer: string, what: string): DaemonError {
  const blank = answer.indexOf(' ');
  return blank < 0
    ? new DaemonError('Internal', `${what}: ${answer}`)
    : new DaemonError('Conflict', answer.slice(blank + 1));
}
