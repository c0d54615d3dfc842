// Execs: further processes in running containers. Their records are in the cluster, so that any daemon may start, resize and inspect
// what another has created; what became of one its supervisor knows.

import { randomBytes } from 'node:crypto';
import type { ExecBackend, ExecStartOptions, OpenStream, StreamClient } from '../../api/v1.41/backend';
import { pause } from '../../async/pause';
import type { ExecCreateBody, ExecInspect } from '../../docker/types';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { notRunning, requireExecutable } from '../../semantics/containers/container-refusals';
import { isActive } from '../../semantics/containers/container-state';
import { execFailure } from '../../semantics/containers/runtime-errors';
import { detachKeysOf } from '../../semantics/streams/detach-keys';
import { StreamHub } from '../../semantics/streams/stream-hub';
import { runStreamSession } from '../../semantics/streams/stream-session';
import { containerToPod } from '../../translate/container-to-pod';
import { execProcess } from '../../translate/exec-to-guest';
import { AgentError } from '../../vm/contract/agent-error';
import { asNodesAllow } from '../containers/pod-plan';
import type { RecordStore } from '../contract/record-store';
import type { ClusterContainer } from '../records/cluster-container';
import type { ExecState, RunningProcess } from '../supervisor/supervisor';
import type { ContainerReach } from './reach';
import { hubInput, pumpProcess } from './run-output';

/** What is kept of an exec. `started`: somebody has begun to start it, once. */
export interface ExecRecord {
  id: string;
  containerId: string;
  body: ExecCreateBody;
  createdAtMs: number;
  started: boolean;
}

/** Environment that a container has besides its own: that of its links. */
export type LinkEnvironment = (container: ClusterContainer) => readonly string[];

/** As dockerd's: how long a resize waits for a process that nobody has started yet. */
const resizeWaitMs = 10_000;
const resizeLookMs = 100;
/** Execs of a container that runs no more, and those that have ended, are forgotten in time, as by dockerd. */
const keptMs = 10 * 60_000;
const sweepMs = 5 * 60_000;
/** What Docker records of an exec that could not be run. */
const failedExitCode = 126;
const killedExitCode = 137;
/** Between looks at one that nobody is attached to. */
const firstEndLookMs = 250;
const longestEndLookMs = 4_000;

export class ClusterExecs implements ExecBackend {
  readonly #reach: ContainerReach;
  readonly #records: RecordStore<ExecRecord>;
  readonly #linkEnvironment: LinkEnvironment;

  constructor(reach: ContainerReach, records: RecordStore<ExecRecord>, linkEnvironment: LinkEnvironment) {
    this.#reach = reach;
    this.#records = records;
    this.#linkEnvironment = linkEnvironment;
  }

  async create(containerRef: string, body: ExecCreateBody): Promise<{ Id: string }> {
    const container = await this.#reach.get(containerRef);
    requireExecutable(container, containerRef);
    if ((body.Cmd ?? []).length === 0) {
      throw new DaemonError('InvalidParameter', 'No exec command specified');
    }
    if (detachKeysOf(body.DetachKeys) === undefined) {
      throw new DaemonError('Internal', `Invalid escape keys (${body.DetachKeys ?? ''}) provided`);
    }
    const id = randomBytes(32).toString('hex');
    await this.#records.create(id, {
      id,
      containerId: container.id,
      body,
      createdAtMs: Date.now(),
      started: false,
    });
    this.#reach.publish(`exec_create: ${commandText(body)}`, container, { execID: id });
    return { Id: id };
  }

  async start(execId: string, options: ExecStartOptions, open: OpenStream): Promise<void> {
    const { record, container } = await this.#get(execId);
    requireExecutable(container, container.id);
    const { body } = record;
    const [rows, columns] = body.ConsoleSize ?? [0, 0];
    const consoleSize = options.consoleSize ?? (rows > 0 && columns > 0 ? { rows, columns } : undefined);
    const begin = (attached: boolean): Promise<RunningProcess> =>
      this.#run(record, container, { attached, ...(consoleSize === undefined ? {} : { consoleSize }) });
    if (options.detach) {
      (await begin(false)).close();
      void this.#awaitEnd(record.id, container);
      return;
    }
    const terminal = body.Tty ?? false;
    const client = open({ terminal });
    let running: RunningProcess;
    try {
      running = await begin(true);
    } catch (error) {
      // The status is sent already: Docker writes the reason into the stream.
      if (options.rejects === true) throw error;
      await writeQuietly(client, `${errorMessage(error)}\r\n`);
      return;
    }
    await this.#serve({ record, container }, running, client);
  }

  async inspect(execId: string): Promise<ExecInspect> {
    const { record, container } = await this.#get(execId);
    const state = await this.#state(record, container);
    const { body } = record;
    const [entrypoint = '', ...rest] = body.Cmd ?? [];
    return {
      ID: record.id,
      Running: state.running,
      ExitCode: record.started && !state.running ? state.code : null,
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
      CanRemove: false,
      ContainerID: container.id,
      DetachKeys: body.DetachKeys ?? '',
      Pid: state.pid,
    };
  }

  async resize(execId: string, size: { rows: number; columns: number }): Promise<void> {
    const { container } = await this.#get(execId);
    const deadline = performance.now() + resizeWaitMs;
    for (;;) {
      try {
        const supervisor = this.#reach.supervisor(container);
        if (supervisor === undefined) throw notRunning(container);
        await supervisor.resize(size, execId);
        return;
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        if (error.failure.code !== 'ENOENT')
          throw new DaemonError('NotFound', 'no such exec', { cause: error });
        if (performance.now() > deadline) {
          throw new DaemonError('Internal', 'timeout waiting for exec session ready', { cause: error });
        }
      }
      await pause(resizeLookMs, new AbortController().signal);
    }
  }

  /** Those of a container that have not ended, as its inspect shows them. */
  async idsOf(container: ClusterContainer): Promise<string[]> {
    if (!isActive(container.state)) return [];
    const ids: string[] = [];
    for (const { value } of await this.#records.list()) {
      if (value.containerId !== container.id) continue;
      const isOver = value.started && !(await this.#state(value, container)).running;
      if (!isOver) ids.push(value.id);
    }
    return ids.sort();
  }

  /** Tells of the end of one that nobody is attached to. Its daemon may end before: then nobody tells. */
  async #awaitEnd(execId: string, container: ClusterContainer): Promise<void> {
    for (let waitMs = firstEndLookMs; ; waitMs = Math.min(waitMs * 2, longestEndLookMs)) {
      await pause(waitMs, new AbortController().signal);
      const supervisor = this.#reach.supervisor(container);
      if (supervisor === undefined || !isActive(container.state)) return;
      try {
        const { running, code } = await supervisor.execState(execId);
        if (running) continue;
        this.#reach.publish('exec_die', container, { execID: execId, exitCode: String(code) });
        return;
      } catch (error) {
        if (error instanceof AgentError) return; // forgotten
        log.debug('an exec is not looked at', { execId, error: errorMessage(error) });
      }
    }
  }

  /** Sweeps now and then; returns what ends that. */
  startSweeping(): () => void {
    const timer = setInterval(() => {
      this.sweep().catch((error: unknown) =>
        log.debug('execs are not swept', { error: errorMessage(error) }),
      );
    }, sweepMs).unref();
    return () => clearInterval(timer);
  }

  /** Forgets what has ended, and what was never started. */
  async sweep(): Promise<void> {
    for (const { name, version, value } of await this.#records.list()) {
      if (Date.now() - value.createdAtMs < keptMs) continue;
      const container = this.#reach.byId(value.containerId);
      const runs = container !== undefined && (await this.#state(value, container)).running;
      if (!runs) await this.#records.remove(name, version).catch(() => undefined); // another daemon's sweep
    }
  }

  async #get(execId: string): Promise<{ record: ExecRecord; version: string; container: ClusterContainer }> {
    if (!/^[\da-f]{64}$/.test(execId)) throw noSuchExec(execId);
    const stored = await this.#records.get(execId).catch((error: unknown) => {
      if (error instanceof DaemonError && error.code === 'NotFound') throw noSuchExec(execId);
      throw error;
    });
    const container = this.#reach.byId(stored.value.containerId);
    if (container === undefined) throw noSuchExec(execId);
    return { record: stored.value, version: stored.version, container };
  }

  /** One of all daemons starts it. */
  async #take(execId: string): Promise<void> {
    const { record, version, container } = await this.#get(execId);
    if (record.started) {
      const { running } = await this.#state(record, container);
      const how = running ? 'is already running' : 'has already run';
      throw new DaemonError('Conflict', `Error: Exec command ${execId} ${how}`);
    }
    await this.#records.replace(execId, version, { ...record, started: true });
  }

  async #run(
    record: ExecRecord,
    container: ClusterContainer,
    { attached, consoleSize }: { attached: boolean; consoleSize?: { rows: number; columns: number } },
  ): Promise<RunningProcess> {
    await this.#take(record.id);
    const { body } = record;
    this.#reach.publish(`exec_start: ${commandText(body)}`, container, { execID: record.id });
    const terminal = body.Tty ?? false;
    const wants = (flag: boolean | undefined): boolean => attached && (flag ?? false);
    try {
      const supervisor = this.#reach.supervisor(container);
      const described = container.record;
      const [spec] = containerToPod({
        ...described,
        args: [described.path, ...described.args],
      }).containers;
      if (supervisor === undefined || spec === undefined) throw notRunning(container);
      return await supervisor.exec({
        id: record.id,
        process: asNodesAllow(
          execProcess(body, spec, {
            hostname: described.config.Hostname,
            containerEnv: [...this.#linkEnvironment(container), ...(described.config.Env ?? [])],
            channels: {},
            ...(consoleSize === undefined ? {} : { consoleSize }),
          }),
          described,
        ),
        stdin: wants(body.AttachStdin),
        stdout: wants(body.AttachStdout) || terminal,
        stderr: wants(body.AttachStderr) && !terminal,
        detach: !attached,
      });
    } catch (error) {
      throw execFailure(error);
    }
  }

  async #serve(
    { record, container }: { record: ExecRecord; container: ClusterContainer },
    running: RunningProcess,
    client: StreamClient,
  ): Promise<void> {
    const { body } = record;
    const terminal = body.Tty ?? false;
    const hub = new StreamHub();
    const subscription = hub.subscribe({
      stdout: body.AttachStdout ?? false,
      stderr: body.AttachStderr ?? false,
    });
    const takesInput = body.AttachStdin ?? false;
    hub.beginRun(takesInput ? hubInput(() => running.input) : undefined);
    const pumped = pumpProcess(running, hub)
      .catch((error: unknown) => {
        log.debug('the output of an exec is lost', { execId: record.id, error: errorMessage(error) });
      })
      .finally(() => hub.endRun());
    running.exit.then(
      ({ code }) => this.#reach.publish('exec_die', container, { execID: record.id, exitCode: String(code) }),
      () => undefined,
    );
    const end = await runStreamSession({
      hub,
      client,
      takesInput,
      subscription,
      detachKeys: terminal ? detachKeysOf(body.DetachKeys) : undefined,
      endsInput: !terminal,
    });
    if (end === 'detached') this.#reach.publish('exec_detach', container, { execID: record.id });
    if (end !== 'output') running.close();
    await pumped;
  }

  async #state(record: ExecRecord, container: ClusterContainer): Promise<ExecState> {
    if (!record.started) return { running: false, pid: 0, code: 0 };
    const killed = { running: false, pid: 0, code: killedExitCode };
    const supervisor = this.#reach.supervisor(container);
    if (supervisor === undefined) return killed;
    try {
      // Also where the run is over: it may have ended by this very exec, which has a code of its own.
      const state = await supervisor.execState(record.id);
      return isActive(container.state) ? state : { ...state, running: false };
    } catch (error) {
      // It could not be run at all, or is about to be.
      if (error instanceof AgentError) return { running: false, pid: 0, code: failedExitCode };
      if (!isActive(container.state)) return killed;
      throw error;
    }
  }
}

function noSuchExec(execId: string): DaemonError {
  return new DaemonError('NotFound', `No such exec instance: ${execId}`);
}

/** As Docker's events show a command: the word, a space, the rest. */
function commandText(body: ExecCreateBody): string {
  const [entrypoint = '', ...rest] = body.Cmd ?? [];
  return `${entrypoint} ${rest.join(' ')}`;
}

async function writeQuietly(client: StreamClient, text: string): Promise<void> {
  try {
    await client.write('stdout', Buffer.from(text));
  } catch {
    // The client is gone; there is nobody left to tell.
  }
}
