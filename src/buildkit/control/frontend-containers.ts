// Containers that a frontend has made to run programs in (NewContainer): one process begins them, others join it.

import { BuildError } from '../contract/errors';
import type { ExecOutput, RunningProcess, RunningStep } from '../contract/executor';
import type { Bridge } from '../contract/frontend';
import type { ExecOp, Mount } from '../contract/llb';
import type { ContainerRun, Ref } from '../contract/solver';
import type { InitMessage, NewContainerRequest } from '../messages/gateway';
import { securityMode } from '../messages/ops';

/** Of one frontend: each is a VM. */
const maxContainers = 16;
const maxIdLength = 256;

export type ProcessStreams = Pick<ExecOutput, 'write' | 'input'> & {
  readonly running: (process: RunningProcess) => void;
};

interface Container {
  readonly request: NewContainerRequest;
  readonly mounts: readonly Mount[];
  readonly refs: readonly Ref[];
  readonly abort: AbortController;
  /** Of its first process, if one was asked for. */
  first: { readonly step: Promise<RunningStep>; readonly insecure: boolean } | undefined;
  /** Its first process and what it had are gone. Never rejects. */
  ended: Promise<unknown>;
}

export class FrontendContainers {
  readonly #bridge: Pick<Bridge, 'runContainer'>;
  readonly #containers = new Map<string, Container>();

  constructor(bridge: Pick<Bridge, 'runContainer'>) {
    this.#bridge = bridge;
  }

  /** What it mounts is there when this resolves. Nothing runs yet. */
  async create(request: NewContainerRequest, refOf: (id: string) => Ref, signal: AbortSignal): Promise<void> {
    const { ContainerID: id } = request;
    if (id === '' || id.length > maxIdLength) throw new BuildError('InvalidArgument', 'invalid container id');
    if (this.#containers.has(id))
      throw new BuildError('FailedPrecondition', `Container ${id} already exists`);
    if (this.#containers.size >= maxContainers)
      throw new BuildError('ResourceExhausted', 'the frontend has too many containers');
    const refs: Ref[] = [];
    const mounts = request.Mounts.map((mount) => {
      const input = mount.resultID === '' ? -1 : refs.push(refOf(mount.resultID)) - 1;
      return { ...mount, input, output: -1 };
    });
    const abort = new AbortController();
    const ended = Promise.resolve();
    this.#containers.set(id, { request, mounts, refs, abort, first: undefined, ended });
    try {
      await Promise.all(refs.map((ref) => ref.evaluate(signal)));
    } catch (error) {
      this.#containers.delete(id);
      throw error;
    }
  }

  /** Its processes end. Resolves when nothing of it is left. */
  async release(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    this.#containers.delete(id);
    container.abort.abort(new BuildError('Cancelled', 'context canceled'));
    await container.ended;
  }

  async releaseAll(): Promise<void> {
    await Promise.all([...this.#containers.keys()].map((id) => this.release(id)));
  }

  /** Throws NotFound: there is none of that id. The process is run to its end: resolves with its exit code. */
  run(init: InitMessage, streams: ProcessStreams, signal: AbortSignal): Promise<number> {
    const { ContainerID: id, Meta: meta } = init;
    const container = this.#containers.get(id);
    if (container === undefined)
      throw new BuildError('NotFound', `container "${id}" previously released or not created`);
    if (meta === undefined || meta.args.length === 0)
      throw new BuildError('InvalidArgument', 'a process needs arguments');
    const both = AbortSignal.any([signal, container.abort.signal]);
    if (container.first !== undefined) return this.#join(container.first, init, streams, both);
    return this.#begin(container, init, streams, both);
  }

  async #begin(
    container: Container,
    init: InitMessage,
    { write, input, running }: ProcessStreams,
    signal: AbortSignal,
  ): Promise<number> {
    let began: (step: RunningStep) => void = () => undefined;
    let never: (error: Error) => void = () => undefined;
    const step = new Promise<RunningStep>((resolve, reject) => {
      began = resolve;
      never = reject;
    });
    step.catch(() => undefined); // who joins it is told
    container.first = { step, insecure: init.Security === securityMode.insecure };
    const output: ExecOutput = {
      write,
      ...(input === undefined ? {} : { input }),
      running: (process) => {
        began(process);
        running(process);
      },
    };
    const exited = this.#bridge.runContainer(containerRun(container, init), output, signal);
    container.ended = exited.catch(() => undefined);
    try {
      return await exited;
    } finally {
      never(new BuildError('NotFound', `container "${init.ContainerID}" has ended`));
      container.first = { step: Promise.reject(ended(init)), insecure: false };
      container.first.step.catch(() => undefined);
    }
  }

  async #join(
    { step, insecure }: NonNullable<Container['first']>,
    { Meta: meta, Tty: terminal, Security: security, secretenv }: InitMessage,
    streams: ProcessStreams,
    signal: AbortSignal,
  ): Promise<number> {
    if (secretenv.length > 0)
      throw new BuildError('Unimplemented', 'only the first process of a container may have secrets');
    if ((security === securityMode.insecure) !== insecure)
      throw new BuildError('InvalidArgument', 'all processes of a container have the same security mode');
    const { args = [], env = [], cwd = '', user = '' } = meta ?? {};
    const process = { args, env, secretEnv: [], workingDir: cwd, user, terminal };
    try {
      return await (await step).exec(process, streams, signal);
    } catch (error) {
      // the first process' end may be told before, and comes of the same release
      signal.throwIfAborted();
      throw error;
    }
  }
}

function ended({ ContainerID }: InitMessage): BuildError {
  return new BuildError('NotFound', `container "${ContainerID}" has ended`);
}

function containerRun({ request, mounts, refs }: Container, init: InitMessage): ContainerRun {
  const { Network: network, extraHosts, hostname, platform } = request;
  const { Meta: meta, Security: security, secretenv, Tty: terminal } = init;
  const op: ExecOp = {
    meta: meta === undefined ? undefined : { ...meta, extraHosts, hostname },
    mounts: [...mounts],
    network,
    security,
    secretenv,
    cdiDevices: [],
  };
  return { op, refs, platform, terminal, files: [] };
}
