// sessions/: what goes on beside the first process: further processes, attached clients, health checks.
//
// Exec: a further process in a running container. Execs live in memory only, as in Docker.

import { randomBytes } from 'node:crypto';
import { within } from '../../async/deadline';
import type { ExecBackend, ExecStartOptions, OpenStream, StreamClient } from '../../api/v1.41/backend';
import type { ExecCreateBody, ExecInspect } from '../../docker/types';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { containerToPod } from '../../translate/container-to-pod';
import { execProcess } from '../../translate/exec-to-guest';
import type { ExitStatus } from '../../vm/contract/protocol';
import { runStreamSession } from '../../semantics/streams/stream-session';
import { nextExecState, type ExecEvent, type ExecState } from './exec-state';
import { eventAttributes } from '../../semantics/containers/container-record';
import { linkVariables } from '../../semantics/containers/links';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { notRunning, requireExecutable } from '../../semantics/containers/container-refusals';
import { requirePod, type PodPlaces } from '../vms/guest-access';
import { detachKeysOf } from '../../semantics/streams/detach-keys';
import { execFailure } from '../../semantics/containers/runtime-errors';
import { ProcessStdio, type StdioChannels } from '../streams/stdio';
import { StreamHub } from '../../semantics/streams/stream-hub';
import type { Announcer } from '../../semantics/events/event-publisher';

/** What execs work with. */
export type ExecNeeds = PodPlaces & Announcer & { readonly registry: ContainerRegistry };

/** As often as dockerd's. */
const sweepMs = 5 * 60_000;
const killedExitCode = 137;
/** How long a resize waits for a process that nobody has started yet, as in Docker. */
const resizeWaitMs = 10_000;

interface Exec {
  readonly id: string;
  readonly container: Container;
  readonly body: ExecCreateBody;
  readonly detachKeys: readonly number[];
  readonly hub: StreamHub;
  /** Only `#step` assigns it. */
  state: ExecState;
  stdio?: ProcessStdio;
  consoleSize?: { rows: number; columns: number };
  /** Resolves when the process runs, or never will. */
  readonly begun: Promise<void>;
  readonly setBegun: () => void;
  /** The next sweep forgets it. */
  canRemove: boolean;
}

export class Execs implements ExecBackend {
  readonly #engine: ExecNeeds;
  readonly #execs = new Map<string, Exec>();

  constructor(engine: ExecNeeds) {
    this.#engine = engine;
  }

  create(containerRef: string, body: ExecCreateBody): Promise<{ Id: string }> {
    const container = this.#engine.registry.get(containerRef);
    requireExecutable(container, containerRef);
    const command = body.Cmd ?? [];
    if (command.length === 0) throw new DaemonError('InvalidParameter', 'No exec command specified');
    const detachKeys = detachKeysOf(body.DetachKeys);
    if (detachKeys === undefined) {
      throw new DaemonError('Internal', `Invalid escape keys (${body.DetachKeys ?? ''}) provided`);
    }
    let setBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => (setBegun = resolve));
    const exec: Exec = {
      id: randomBytes(32).toString('hex'),
      container,
      body,
      detachKeys,
      hub: new StreamHub(),
      state: { kind: 'created' },
      begun,
      setBegun,
      canRemove: false,
    };
    const [rows, columns] = body.ConsoleSize ?? [0, 0];
    if (rows > 0 && columns > 0) exec.consoleSize = { rows, columns };
    this.#execs.set(exec.id, exec);
    container.execIds.add(exec.id);
    this.#publish(exec, `exec_create: ${commandText(exec)}`);
    return Promise.resolve({ Id: exec.id });
  }

  async start(execId: string, options: ExecStartOptions, open: OpenStream): Promise<void> {
    const exec = this.#get(execId);
    requireExecutable(exec.container, exec.container.id);
    if (options.consoleSize !== undefined) exec.consoleSize = options.consoleSize;
    if (options.detach) {
      await this.#run(exec, { attached: false });
      return;
    }
    const { body } = exec;
    const terminal = body.Tty ?? false;
    const subscription = exec.hub.subscribe({
      stdout: body.AttachStdout ?? false,
      stderr: body.AttachStderr ?? false,
    });
    const client = open({ terminal });
    try {
      await this.#run(exec, { attached: true });
    } catch (error) {
      // The status is sent already: Docker writes the reason into the stream.
      subscription.close();
      if (options.rejects === true) throw error;
      await writeQuietly(client, `${errorMessage(error)}\r\n`);
      return;
    }
    const end = await runStreamSession({
      hub: exec.hub,
      client,
      takesInput: body.AttachStdin ?? false,
      subscription,
      detachKeys: terminal ? exec.detachKeys : undefined,
      endsInput: !terminal,
    });
    if (end === 'detached') this.#publish(exec, 'exec_detach');
  }

  inspect(execId: string): Promise<ExecInspect> {
    const exec = this.#get(execId);
    const { state, body } = exec;
    const [entrypoint = '', ...rest] = body.Cmd ?? [];
    return Promise.resolve({
      ID: exec.id,
      Running: state.kind === 'running' || state.kind === 'starting',
      ExitCode: state.kind === 'exited' ? state.exitCode : null,
      ProcessConfig: {
        tty: body.Tty ?? false,
        entrypoint,
        arguments: rest,
        privileged: body.Privileged ?? false,
        ...((body.User ?? '') === '' ? {} : { user: body.User ?? '' }),
      },
      OpenStdin: body.AttachStdin ?? false,
      OpenStderr: body.AttachStderr ?? false,
      OpenStdout: body.AttachStdout ?? false,
      CanRemove: exec.canRemove,
      ContainerID: exec.container.id,
      DetachKeys: body.DetachKeys ?? '',
      Pid: state.kind === 'running' || state.kind === 'exited' ? state.pid : 0,
    });
  }

  async resize(execId: string, size: { rows: number; columns: number }): Promise<void> {
    const exec = this.#get(execId);
    await this.#waitUntilBegun(exec);
    if (exec.state.kind !== 'running') throw new DaemonError('NotFound', 'no such exec');
    const pod = await requirePod(this.#engine, exec.container);
    await pod.vm.agent.request('process.resize', { id: exec.id, ...size });
  }

  /** Rejects when nobody starts it in time. */
  #waitUntilBegun({ begun }: Exec): Promise<void> {
    const overdue = (): Error => new DaemonError('Internal', 'timeout waiting for exec session ready');
    return within(begun, resizeWaitMs, { overdue });
  }

  /** The agent reported an exec's exit. `ack` is called when everyone can know of it. */
  async onExit(execId: string, status: ExitStatus, ack: () => void): Promise<void> {
    const exec = this.#execs.get(execId);
    if (exec !== undefined) {
      await exec.stdio?.finish();
      this.#end(exec, status.exitCode);
    }
    ack();
  }

  /** The container's run is over, and its execs with it. */
  endAll(container: Container): void {
    for (const id of container.execIds) {
      const exec = this.#execs.get(id);
      if (exec === undefined) continue;
      exec.stdio?.abandon();
      if (exec.state.kind === 'running') this.#end(exec, killedExitCode);
      if (exec.state.kind === 'created') this.#execs.delete(id);
      exec.setBegun();
    }
    container.execIds.clear();
  }

  async #run(exec: Exec, options: { attached: boolean }): Promise<void> {
    if (!this.#step(exec, { kind: 'start' })) throw alreadyStarted(exec);
    this.#publish(exec, `exec_start: ${commandText(exec)}`);
    const { record } = exec.container;
    try {
      const pod = await requirePod(this.#engine, exec.container);
      const { agent } = pod.vm;
      const [spec] = containerToPod({ ...record, args: [record.path, ...record.args] }).containers;
      if (spec === undefined) throw notRunning(exec.container);
      const size = exec.consoleSize;
      const channels = allocateExecChannels(exec.body, options.attached, () => agent.allocateChannel());
      exec.stdio = new ProcessStdio(agent, channels, exec.hub, undefined);
      const { pid } = await agent.request('exec.start', {
        id: exec.id,
        containerId: exec.container.id,
        process: execProcess(exec.body, spec, {
          hostname: record.config.Hostname,
          containerEnv: [...linkVariables(this.#engine.registry, record), ...(record.config.Env ?? [])],
          channels,
          ...(size === undefined ? {} : { consoleSize: size }),
        }),
      });
      exec.stdio.openInput();
      // Not where its exit was reported while the answer was on its way.
      this.#step(exec, { kind: 'started', pid });
    } catch (error) {
      exec.stdio?.abandon();
      this.#step(exec, { kind: 'failed' });
      throw execFailure(error);
    } finally {
      exec.setBegun();
    }
  }

  /** False, and nothing is done: the event is illegal in this state, as it comes too late or twice. */
  #step(exec: Exec, event: ExecEvent): boolean {
    const state = nextExecState(exec.state, event);
    if (state === undefined) return false;
    exec.state = state;
    if (state.kind === 'exited') exec.container.execIds.delete(exec.id);
    return true;
  }

  #end(exec: Exec, exitCode: number): void {
    if (!this.#step(exec, { kind: 'exit', exitCode })) return;
    exec.hub.endRun();
    this.#publish(exec, 'exec_die', { exitCode: String(exitCode) });
    log.debug('exec ended', { execId: exec.id, exitCode });
  }

  #get(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) throw new DaemonError('NotFound', `No such exec instance: ${execId}`);
    return exec;
  }

  #publish(exec: Exec, action: string, more: Record<string, string> = {}): void {
    this.#engine.events.publish('container', action, exec.container.id, {
      ...eventAttributes(exec.container.record),
      execID: exec.id,
      ...more,
    });
  }

  /** Sweeps now and then; returns what ends that. */
  startSweeping(): () => void {
    const timer = setInterval(() => this.sweep(), sweepMs).unref();
    return () => clearInterval(timer);
  }

  /** What has ended is marked the first time and forgotten the next, as by dockerd. */
  sweep(): void {
    for (const [id, exec] of this.#execs) {
      const gone = this.#engine.registry.byId(exec.container.id) === undefined;
      if (gone || exec.canRemove) this.#execs.delete(id);
      else if (exec.state.kind === 'exited') exec.canRemove = true;
    }
  }
}

/** Docker's refusal of what runs or has run. */
function alreadyStarted({ id, state }: Exec): DaemonError {
  const how = state.kind === 'exited' ? 'has already run' : 'is already running';
  return new DaemonError('Conflict', `Error: Exec command ${id} ${how}`);
}

function allocateExecChannels(
  body: ExecCreateBody,
  attached: boolean,
  allocate: () => number,
): StdioChannels {
  const terminal = body.Tty ?? false;
  const wants = (flag: boolean | undefined): boolean => attached && (flag ?? false);
  return {
    ...(wants(body.AttachStdin) ? { stdin: allocate() } : {}),
    // A terminal has a reader even if nobody is attached, or its process would block.
    ...(wants(body.AttachStdout) || terminal ? { stdout: allocate() } : {}),
    ...(wants(body.AttachStderr) && !terminal ? { stderr: allocate() } : {}),
  };
}

/** As Docker's events show a command: the word, a space, the rest. */
function commandText(exec: Exec): string {
  const [entrypoint = '', ...rest] = exec.body.Cmd ?? [];
  return `${entrypoint} ${rest.join(' ')}`;
}

async function writeQuietly(client: StreamClient, text: string): Promise<void> {
  try {
    await client.write('stdout', Buffer.from(text));
  } catch {
    // The client is gone; there is nobody left to tell.
  }
}
