// A step that somebody speaks with: signals, the size of its terminal, and further processes beside its first.

import { randomBytes } from 'node:crypto';
import { unlessAborted } from '../../async/deadline';
import { BuildError } from '../../buildkit/contract/errors';
import type { ProcessOutput, RunningStep, StepProcess } from '../../buildkit/contract/executor';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import type { PodContainerSpec } from '../../translate/pod';
import { sigkill } from '../../translate/signals';
import type { ExitStatus, GuestProcess } from '../../vm/contract/protocol';
import { execFailure } from '../../semantics/containers/runtime-errors';
import type { RunningPod } from '../vms/running-pod';
import { StepOutput } from './step-output';
import { besideFirst, stepSignal } from '../../semantics/builds/step-words';

/** Of one step, at once: each has processes of the agent's. */
const maxExecs = 64;

export class StepSession implements RunningStep {
  readonly #pod: RunningPod;
  readonly #container: PodContainerSpec;
  readonly #lost: Promise<never>;
  #execs = 0;

  /** `lost` rejects when the VM is gone. */
  constructor(pod: RunningPod, container: PodContainerSpec, lost: Promise<never>) {
    this.#pod = pod;
    this.#container = container;
    this.#lost = lost;
  }

  signal(name: string): Promise<void> {
    return this.#signal(this.#container.id, name);
  }

  resize(size: { rows: number; columns: number }): Promise<void> {
    return this.#resize(this.#container.id, size);
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
    const { agent } = this.#pod.vm;
    const id = `exec-${randomBytes(16).toString('hex')}`;
    const exited = new Promise<ExitStatus>((resolve) => this.#pod.exitListeners.set(id, resolve));
    const streams = new StepOutput(agent, output, process.terminal);
    try {
      const guest = this.#guestProcess(process, streams.channels);
      const begun = agent.request('exec.start', { id, containerId: this.#container.id, process: guest });
      await unlessAborted(Promise.race([begun, this.#lost]), signal);
      streams.begun();
      output.running?.({
        signal: (name) => this.#signal(id, name),
        resize: (size) => this.#resize(id, size),
      });
      const { exitCode } = await unlessAborted(Promise.race([exited, this.#lost]), signal);
      await streams.drained();
      return exitCode;
    } catch (error) {
      streams.abandon();
      if (signal.aborted) this.#quietly(agent.request('process.signal', { id, signal: sigkill }));
      signal.throwIfAborted();
      throw error instanceof DaemonError ? error : execFailure(error);
    } finally {
      this.#pod.exitListeners.delete(id);
    }
  }

  #guestProcess(process: StepProcess, channels: StepOutput['channels']): GuestProcess {
    const { cwd, user, additionalGroups, capabilities, noNewPrivileges, rlimits, oomScoreAdj, seccomp } =
      this.#container.process;
    const first = {
      ...{ cwd, user, additionalGroups, capabilities, noNewPrivileges, rlimits, oomScoreAdj, seccomp },
      ...channels,
    };
    return besideFirst(first, process);
  }

  async #signal(id: string, name: string): Promise<void> {
    await this.#pod.vm.agent
      .request('process.signal', { id, signal: stepSignal(name) })
      .catch((error: unknown) => log.debug('a process has ended before its signal', { id, error }));
  }

  #resize(id: string, size: { rows: number; columns: number }): Promise<void> {
    return this.#pod.vm.agent
      .request('process.resize', { id, ...size })
      .then(() => undefined)
      .catch((error: unknown) => log.debug('a process has ended before its resize', { id, error }));
  }

  #quietly(asked: Promise<unknown>): void {
    asked.catch((error: unknown) => log.debug('a process of a step has ended', { error }));
  }
}
