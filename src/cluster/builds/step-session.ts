// A step that somebody speaks with: signals, the size of its terminal, and further processes beside its first.

import { randomBytes } from 'node:crypto';
import { BuildError } from '../../buildkit/contract/errors';
import type { ProcessOutput, RunningStep, StepProcess } from '../../buildkit/contract/executor';
import { log } from '../../log';
import { besideFirst, stepSignal } from '../../semantics/builds/step-words';
import { execFailure } from '../../semantics/containers/runtime-errors';
import { exitCodeOf } from '../../translate/signals';
import type { GuestProcess } from '../../vm/contract/protocol';
import type { Supervisor } from '../supervisor/supervisor';

/** Of one step, at once. */
const maxExecs = 64;

export class StepSession implements RunningStep {
  readonly #supervisor: Supervisor;
  readonly #process: GuestProcess;
  #execs = 0;

  constructor(supervisor: Supervisor, process: GuestProcess) {
    this.#supervisor = supervisor;
    this.#process = process;
  }

  signal(name: string): Promise<void> {
    return this.#signal(name);
  }

  resize(size: { rows: number; columns: number }): Promise<void> {
    return this.#resize(size);
  }

  async exec(process: StepProcess, output: ProcessOutput, signal: AbortSignal): Promise<number> {
    if (this.#execs >= maxExecs)
      throw new BuildError('ResourceExhausted', 'too many processes in one container');
    this.#execs += 1;
    try {
      return await this.#exec(process, output, signal);
    } finally {
      this.#execs -= 1;
    }
  }

  async #exec(process: StepProcess, output: ProcessOutput, signal: AbortSignal): Promise<number> {
    const id = randomBytes(32).toString('hex');
    const guest = besideFirst(this.#process, process);
    const request = {
      ...{ id, process: guest, stdin: output.input !== undefined, stdout: true, stderr: !process.terminal },
      detach: false,
    };
    const running = await this.#supervisor.exec(request, signal).catch((error: unknown) => {
      throw execFailure(error);
    });
    const close = (): void => running.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      output.running?.({
        signal: (name) => this.#signal(name, id),
        resize: (size) => this.#resize(size, id),
      });
      const pump = async (bytes: AsyncIterable<Buffer>): Promise<void> => {
        for await (const chunk of bytes) await running.input.write(chunk);
        await running.input.end();
      };
      if (output.input !== undefined)
        pump(output.input).catch((error: unknown) => log.debug('input of an exec has ended', { error }));
      for await (const { stream, data } of running.output) await output.write(stream, data);
      return exitCodeOf(await running.exit);
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }

  async #signal(name: string, id?: string): Promise<void> {
    await this.#supervisor
      .signal(stepSignal(name), id)
      .catch((error: unknown) => log.debug('a process has ended before its signal', { error }));
  }

  #resize(size: { rows: number; columns: number }, id?: string): Promise<void> {
    return this.#supervisor
      .resize(size, id)
      .catch((error: unknown) => log.debug('a process has ended before its resize', { error }));
  }
}
