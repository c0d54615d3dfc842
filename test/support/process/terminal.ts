// A program under a pseudo-terminal, made by util-linux's script(1): typing, screen output, window size.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TerminalOptions {
  /** A shell command. */
  command: string;
  env?: NodeJS.ProcessEnv;
  rows?: number;
  columns?: number;
}

export class Terminal {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #dir: string;
  readonly #exited: Promise<number>;
  #screen = '';
  #waiters: (() => void)[] = [];

  private constructor(options: TerminalOptions) {
    this.#dir = mkdtempSync(join(tmpdir(), 'caisson-tty-'));
    const size = `stty rows ${options.rows ?? 24} cols ${options.columns ?? 80}`;
    const command = `${size}; tty >${this.#dir}/tty; exec ${options.command}`;
    this.#child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', ...options.env },
      stdio: 'pipe',
    });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#screen += chunk.toString();
      this.#wake();
    });
    // typing into a program that has ended is not this test's matter
    this.#child.stdin.on('error', () => undefined);
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        resolve(code ?? -1);
        this.#wake();
        rmSync(this.#dir, { recursive: true, force: true });
      });
    });
  }

  static open(options: TerminalOptions): Terminal {
    return new Terminal(options);
  }

  /** Everything the program wrote so far. */
  get screen(): string {
    return this.#screen;
  }

  /** Keys as bytes: `\x03` is ctrl-C, `\r` the return key. */
  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** Changes the window; the program gets SIGWINCH. */
  resize(rows: number, columns: number): void {
    const tty = readFileSync(join(this.#dir, 'tty'), 'utf8').trim();
    execFileSync('stty', ['-F', tty, 'rows', String(rows), 'cols', String(columns)]);
  }

  /** Resolves when the screen, from `from` on, matches. Throws with the screen if it never does. */
  async waitFor(pattern: RegExp, timeoutMs = 120_000, from = 0): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#screen.slice(from));
      if (match !== null) return match;
      const left = deadline - Date.now();
      if (left <= 0 || this.#child.exitCode !== null) {
        throw new Error(`${String(pattern)} did not appear on the screen:\n${JSON.stringify(this.#screen)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Resolves with the program's exit code. */
  async exited(timeoutMs = 120_000): Promise<number> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    const code = await this.#exited;
    clearTimeout(timer);
    return code;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
