// Runs the command of an exec operation in a VM. The solver calls it; the engine implements it.

import type { Duplex } from 'node:stream';
import type { ResourceLimits } from '../../builder/limits';

export interface Executor {
  /**
   * Runs one step to its end: its output is complete and its changes are in the layer store when it resolves, whatever the exit
   * code. Rejects with what kept it from running, or with Cancelled. The layers given must be held by the caller until then.
   */
  run(step: ExecStep, output: ExecOutput, signal: AbortSignal): Promise<ExecOutcome>;
  /** A step of the build that needs no VM of its own is to come soon, probably: a VM may be made ready for it. Called before `endBuild`. */
  expect(buildId: string): void;
  /** Whether programs of that processor run in VMs, in OCI's words; '' is the host's. */
  runs(architecture: string): boolean;
  /** The build is over: its VMs end. */
  endBuild(buildId: string): Promise<void>;
}

export interface ExecStep {
  /** VMs are never shared between builds. */
  readonly buildId: string;
  /** `vm` of the parent's outcome: that VM is taken if it is free; '' for any. */
  readonly after: string;
  /** A VM of its own, which ends with the step: it has secrets or agents, or is privileged. */
  readonly alone: boolean;
  /** Of the processor whose programs it has, in OCI's words; '': the host's. */
  readonly architecture: string;
  readonly root: LayersMount;
  readonly mounts: readonly StepMount[];
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Environment that is secret: never logged or kept. */
  readonly secretEnv: readonly string[];
  readonly workingDir: string;
  /** As in a Dockerfile: names are looked up in the root's files. */
  readonly user: string;
  readonly hostname: string;
  readonly network: 'sandbox' | 'host' | 'none';
  /** Privileged inside of its VM. */
  readonly insecure: boolean;
  /** It has one, and so a single output. */
  readonly terminal: boolean;
  readonly extraHosts: readonly { host: string; ip: string }[];
  readonly ulimits: readonly { name: string; soft: number; hard: number }[];
  readonly cgroupParent: string;
  readonly limits: ResourceLimits;
  /** Mount points that were made for mounts are removed with their parents that were made. */
  readonly removeMountStubs: boolean;
}

/** A file system of layers, lowest first; none: empty. */
export interface LayersMount {
  readonly kind: 'layers';
  /** Absolute; `/` for the root. */
  readonly dest: string;
  readonly diffIds: readonly string[];
  /** Directory or file of it that is mounted; '' or `/` for all. */
  readonly selector: string;
  readonly readonly: boolean;
  /** Its changes are wanted as a layer; `ifFailed`: when its exit code isn't 0. What is written to a mount that has none of this is lost. */
  readonly keepsChanges: boolean | 'ifFailed';
}

export type StepMount =
  | LayersMount
  | { readonly kind: 'tmpfs'; readonly dest: string; /** 0: default. */ readonly sizeBytes: number }
  | {
      readonly kind: 'cache';
      readonly dest: string;
      /** A disk that exists (see `CacheDisks` of the solver), leased to this step, or to steps of its build that are in one VM then. */
      readonly diskPath: string;
      /** Layers whose files an empty disk gets before; undefined once a step has run with it. */
      readonly fill: readonly string[] | undefined;
      /** Directory of the disk that is mounted. */
      readonly selector: string;
      readonly readonly: boolean;
    }
  | {
      readonly kind: 'secret';
      /** A file on a tmpfs. */
      readonly dest: string;
      readonly content: Buffer;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
    }
  | {
      readonly kind: 'ssh';
      /** A unix socket; each connection to it is one of `connect`. */
      readonly dest: string;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
      readonly connect: () => Duplex;
    };

export interface ExecOutput {
  /** Whoever writes to the stream waits until it resolves. */
  write(stream: 'stdout' | 'stderr', bytes: Buffer): void | Promise<void>;
  /** For its standard input, to its end; none: it is empty. */
  readonly input?: AsyncIterable<Buffer>;
  /** Called once it runs. */
  readonly running?: (step: RunningStep) => void;
}

/** A process as whoever speaks with it has it. What it can't be told any more is nobody's failure. */
export interface RunningProcess {
  /** By name or number. Rejects with InvalidArgument for what is no signal. */
  signal(name: string): Promise<void>;
  resize(size: { rows: number; columns: number }): Promise<void>;
}

/** The first process of its container: all others end with it. */
export interface RunningStep extends RunningProcess {
  /**
   * Runs another one beside it, to its end; resolves with its exit code, when its output is complete. Rejects with what kept it from
   * running, in the runtime's words.
   */
  exec(process: StepProcess, output: ProcessOutput, signal: AbortSignal): Promise<number>;
}

export interface StepProcess {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly secretEnv: readonly string[];
  /** '': that of the step. */
  readonly workingDir: string;
  /** '': that of the step. */
  readonly user: string;
  readonly terminal: boolean;
}

export interface ProcessOutput extends Pick<ExecOutput, 'write' | 'input'> {
  readonly running?: (process: RunningProcess) => void;
}

export interface ExecOutcome {
  readonly exitCode: number;
  /** Killed for want of memory. */
  readonly outOfMemory: boolean;
  /** Diff IDs of layers with changes, by `dest` of the mounts that keep them; no entry where nothing changed. Held until `release`. */
  readonly changes: ReadonlyMap<string, string>;
  /** To be called when the layers are held otherwise, or not wanted. */
  readonly release: () => void;
  /** For `after` of the next step. */
  readonly vm: string;
}
