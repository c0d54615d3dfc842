// What /v1 needs of the engine, and what other parts of the daemon may ask of Pods. Every method throws DaemonError. `ref`
// is a Pod's name, id or unambiguous id prefix, or that of a container without a named Pod.

import type {
  CaissonInfo,
  PlayReply,
  PodCreateReply,
  PodInspect,
  PodReplaceRequest,
  PodStartReply,
  PodStartRequest,
  PodStats,
  PodStopReply,
  PodStopRequest,
  PodSummary,
  PodTemplate,
  PodWaitReply,
  VmInspect,
  VmRunRequest,
  VmSummary,
  WorkloadStatus,
} from './types';

export interface PodService {
  /** Created: containers with their disks, nothing attached. Leaves nothing behind when it throws. Conflict: name taken. */
  create(template: PodTemplate): Promise<PodCreateReply>;
  /**
   * Running: init containers in order, then the rest. A failure brings the Pod back to Created. Conflict: it runs already, or
   * `vmId` is in use; NotFound: no such VM. `signal` gives up, between two containers.
   */
  start(ref: string, request?: PodStartRequest, signal?: AbortSignal): Promise<PodStartReply>;
  /** Last container first. NotModified: it does not run. */
  stop(ref: string, request?: PodStopRequest): Promise<PodStopReply>;
  /** Conflict: the old one does not run, or the new one does. The old Pod stays, Created. */
  replace(oldRef: string, request: PodReplaceRequest): Promise<PodStartReply>;
  /** Conflict: it runs and there is no `force`. `force` kills it, without grace. */
  remove(ref: string, options?: { force?: boolean; volumes?: boolean }): Promise<void>;
  inspect(ref: string): PodInspect;
  /** Newest first. `labels`: `name` or `name=value`, all of them. */
  list(options?: { labels?: readonly string[] }): PodSummary[];
  /** Conflict where one of its containers does not allow it; the others are brought back. */
  pause(ref: string): Promise<void>;
  unpause(ref: string): Promise<void>;
  /** A signal for every main and sidecar container that runs. */
  kill(ref: string, signal?: string): Promise<void>;
  /** Resolves when no main container runs or is to be restarted; at once for a Pod that does not run. */
  wait(ref: string, signal?: AbortSignal): Promise<PodWaitReply>;
  /** One sample of each running container, or one round after the other. */
  stats(ref: string, options: { stream: boolean }, signal: AbortSignal): AsyncIterable<PodStats>;
  /** Docker's id of one container: by its name in the Pod; `''` for the only main one, InvalidParameter if there are several. */
  containerId(ref: string, containerName: string): string;
  /**
   * Keeps the Pod Running, and its VM, while no container of it runs, until the function that it returns is called: for
   * whoever starts containers of it again by itself. Conflict: it does not run.
   */
  hold(ref: string): () => void;
  /** One at a time; the daemon calls it once, before anything is started. */
  setHooks(hooks: PodHooks): void;
}

/** Told on the way through start and stop of a Pod with a record. */
export interface PodHooks {
  /** Somebody asked for the Pod of this name to stop, be it up or not. */
  beforeStop?(podName: string): void;
  /** Awaited before the next container starts; a rejection fails the Pod's start. Not for init containers. */
  afterContainerStart?(pod: PodInspect, containerName: string, signal: AbortSignal): Promise<void>;
  /** Awaited before the container gets its stop signal; what it rejects with is logged. */
  beforeContainerStop?(pod: PodInspect, containerName: string): Promise<void>;
}

export interface VmService {
  /** A fresh Idle VM that stays until `remove`. */
  run(request: VmRunRequest): Promise<VmInspect>;
  list(): VmSummary[];
  /** By id or unambiguous prefix. NotFound. */
  inspect(ref: string): VmInspect;
  /** Conflict: a Pod runs in it and there is no `force`; then the Pod's containers end with 137. */
  remove(ref: string, options?: { force?: boolean }): Promise<void>;
  /** What the serial console has shown (64 KiB at most), and with `follow` what it goes on to show. */
  console(ref: string, options: { follow: boolean }, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
}

/** Kubernetes manifests, YAML or JSON, as the text of a file. InvalidParameter: what can't be read or honoured, by its path. */
export interface PlayBackend {
  /** What is played. */
  list(): WorkloadStatus[];
  /** Everything is made or nothing. Resolves when the Pods exist; they start behind. Conflict: played already. */
  play(text: string, options: { replace: boolean; start: boolean }, signal: AbortSignal): Promise<PlayReply>;
  /** NotFound: nothing of the file is played. */
  down(text: string, options: { force: boolean; volumes: boolean }): Promise<void>;
}

export interface PodsBackend {
  pods: PodService;
  vms: VmService;
  info(): CaissonInfo;
}
