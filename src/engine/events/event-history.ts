// The last events, in memory and in a file, so that `events --since` also tells of the time before a restart.

import { mkdirSync, readFileSync } from 'node:fs';
import { appendFile, rename, writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import type { EventMessage } from '../../docker/types';
import { errorMessage, systemErrorCode } from '../../errors';
import { log } from '../../log';

/** As many as dockerd keeps. */
export const historyLength = 256;
/** The file is rewritten when it holds this many lines. */
const fileLines = 8 * historyLength;

export class EventHistory {
  readonly #file: string | undefined;
  #events: EventMessage[] = [];
  #unwritten: string[] = [];
  #linesInFile = 0;
  #writing: Promise<void> | undefined;

  /** Without a file nothing outlives the process. */
  constructor(file?: string) {
    this.#file = file;
    if (file !== undefined) this.#load(file);
  }

  add(event: EventMessage): void {
    this.#events.push(event);
    if (this.#events.length > historyLength) this.#events.shift();
    if (this.#file === undefined) return;
    this.#unwritten.push(`${serialize(event)}\n`);
    this.#writing ??= this.#write(this.#file);
  }

  /** Oldest first. Stops at the first one, from the newest back, that is older than `sinceNs`, as dockerd does. */
  between(sinceNs: bigint, untilNs: bigint | undefined): EventMessage[] {
    const found: EventMessage[] = [];
    for (const event of [...this.#events].reverse()) {
      if (event.timeNano < sinceNs) break;
      if (untilNs === undefined || event.timeNano <= untilNs) found.unshift(event);
    }
    return found;
  }

  /** Resolves when all events so far are in the file. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  #load(file: string): void {
    mkdirSync(path.dirname(file), { recursive: true });
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') {
        log.warn('reading the event history failed', { file, error: errorMessage(error) });
      }
      return;
    }
    const lines = text.split('\n');
    // The last element is '' after a whole line, or what a crash left of one; a newline must come before the next.
    if (lines.pop() !== '') this.#unwritten.push('\n');
    this.#linesInFile = lines.length;
    this.#events = lines.slice(-historyLength).flatMap((line) => deserialize(line) ?? []);
  }

  async #write(file: string): Promise<void> {
    while (this.#unwritten.length > 0) {
      // What else happens in this turn goes into the same write.
      await Promise.resolve();
      const lines = this.#unwritten;
      this.#unwritten = [];
      try {
        if (this.#linesInFile + lines.length > fileLines) {
          await writeFile(`${file}.new`, this.#events.map((event) => `${serialize(event)}\n`).join(''));
          await rename(`${file}.new`, file);
          this.#linesInFile = this.#events.length;
        } else {
          await appendFile(file, lines.join(''));
          this.#linesInFile += lines.length;
        }
      } catch (error) {
        log.warn('writing the event history failed', { file, error: errorMessage(error) });
      }
    }
    this.#writing = undefined;
  }
}

function serialize(event: EventMessage): string {
  return JSON.stringify({ ...event, timeNano: event.timeNano.toString() });
}

function deserialize(line: string): EventMessage | undefined {
  try {
    const value = JSON.parse(line) as Omit<EventMessage, 'timeNano'> & { timeNano: string };
    return { ...value, timeNano: BigInt(value.timeNano) };
  } catch {
    return undefined;
  }
}
