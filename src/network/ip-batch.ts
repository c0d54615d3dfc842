// A long-lived `ip -batch` in the private namespace: a change to links or addresses costs a third of a millisecond
// instead of a process.

import type { ChildProcess } from 'node:child_process';
import split2 from 'split2';

import { DaemonError } from '../errors';
import type { PrivateNamespace } from './namespace';

interface Pending {
  command: string;
  output: string[];
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Asked after every command: its one line of output says that the command before it has been done. */
const acknowledgeCommand = 'link show dev lo';
const acknowledgement = /^\d+: lo: </;

export class IpBatch {
  readonly #namespace: PrivateNamespace;
  #child: ChildProcess | undefined;
  #pending: Pending[] = [];

  constructor(namespace: PrivateNamespace) {
    this.#namespace = namespace;
  }

  /**
   * Runs `ip` commands in order (without the leading `ip`). Rejects with the words of the first that failed; those
   * after it have been run as well. Only commands that print nothing when they succeed.
   */
  async run(...commands: string[]): Promise<void> {
    const results = await Promise.allSettled(commands.map((command) => this.#enqueue(command)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Ends the child. A later `run` starts another. */
  close(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  #enqueue(command: string): Promise<void> {
    if (/[\n#\\"']/.test(command))
      return Promise.reject(new Error(`not an ip command: ${JSON.stringify(command)}`));
    this.#child ??= this.#spawn();
    const child = this.#child;
    return new Promise((resolve, reject) => {
      this.#pending.push({ command, output: [], resolve, reject });
      child.stdin?.write(`${command}\n${acknowledgeCommand}\n`);
    });
  }

  #spawn(): ChildProcess {
    // Errors go into the same pipe as the acknowledgements, so that the order tells which command they belong to.
    const child = this.#namespace.spawn(
      'sh',
      ['-c', 'exec ip -o -force -batch - 2>&1'],
      ['pipe', 'pipe', 'ignore'],
    );
    child.stdin?.on('error', () => undefined);
    child.stdout?.pipe(split2()).on('data', (line: string) => this.#line(line));
    child.on('error', (error) => this.#ended(child, error.message));
    // 'close', not 'exit': by then all its output has been read. `ip` exits on a syntax error, even with -force.
    child.on('close', () => this.#ended(child, 'ip ended'));
    return child;
  }

  #line(line: string): void {
    const current = this.#pending[0];
    if (current === undefined) return;
    if (!acknowledgement.test(line)) {
      current.output.push(line);
      return;
    }
    this.#pending.shift();
    if (current.output.length === 0) current.resolve();
    else current.reject(failure(current));
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#child === child) this.#child = undefined;
    const pending = this.#pending;
    this.#pending = [];
    for (const entry of pending) {
      if (entry.output.length === 0) entry.output.push(reason);
      entry.reject(failure(entry));
    }
  }
}

function failure({ command, output }: Pending): DaemonError {
  const text = output.filter((line) => !line.startsWith('Command failed')).join(' ');
  return new DaemonError('Internal', `ip ${command}: ${text}`);
}
