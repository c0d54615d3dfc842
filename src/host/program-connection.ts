// A connection by way of a program: what is written goes to its standard input, what is read comes from its standard output.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';

const maxComplaintBytes = 4096;

/** Looks like a socket to Node's HTTP client. */
export class ProgramConnection extends Duplex {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;

  /** `failure` makes the error of a program that ended, or could not be run, before it gave anything: what it said is in its reason. */
  constructor(program: string, args: readonly string[], failure: (reason: string) => Error) {
    super({ allowHalfOpen: true });
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: process.env });
    this.#child = child;
    let complaint = '';
    let answered = false;
    child.stderr.on('data', (data: Buffer) => {
      complaint = (complaint + data.toString()).slice(-maxComplaintBytes);
    });
    child.stdin.on('error', () => undefined); // its end follows
    child.stdout.on('data', (data: Buffer) => {
      answered = true;
      if (!this.push(data)) child.stdout.pause();
    });
    child.once('error', (error) => this.destroy(failure(`cannot be run: ${error.message}`)));
    child.once('close', (code) => {
      if (answered || code === 0) this.push(null);
      else this.destroy(failure(endOf(code, complaint)));
    });
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(data: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(data, encoding, (error) => done(this.destroyed ? null : error));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill();
    done(error);
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    this.#child.ref();
    return this;
  }

  unref(): this {
    this.#child.unref();
    return this;
  }
}

function endOf(code: number | null, complaint: string): string {
  const said = complaint.trim() === '' ? '' : `: ${complaint.trim()}`;
  return `ended with ${code === null ? 'a signal' : String(code)}${said}`;
}
