// Exits: each run is followed at its supervisor; what ends it goes into the record, and its policy answers.

import { errorMessage, isDaemonError } from '../../errors';
import { formatTimestamp, nowTimestamp, parseTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import { isActive, type ExitFacts } from '../../semantics/containers/container-state';
import { nextRestartDelayMs, shouldRestart } from '../../semantics/containers/restart-policy';
import type { ClusterContext } from '../containers/context';
import { podName } from '../containers/pod-plan';
import { podEnd, runningFacts } from '../containers/pods';
import { finishRemoval, removeStopped } from '../containers/remove';
import { beginTold, publishEnd } from '../containers/run-events';
import { startContainer } from '../containers/start';
import { exitCodeOf } from '../../translate/signals';
import type { ClusterRecord } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';

/** Before a supervisor that can't be reached is asked again. */
const retryMs = 500;
/** So long who reads the output of a container that goes with its exit can go on. */
const autoRemoveGraceSeconds = 3;
/** What a process killed with its Pod shows: as if by SIGKILL. */
const killedExitCode = 137;
/** A Pod that nobody has seen for so long, though its container runs, is gone. */
const missingMs = 5_000;

export class ExitKeeper {
  readonly #context: ClusterContext;
  readonly #followed = new Map<string, AbortController>();
  readonly #restarts = new Map<string, { timer: NodeJS.Timeout; delayMs: number }>();
  readonly #undo: (() => void)[] = [];

  constructor(context: ClusterContext) {
    this.#context = context;
  }

  /** Takes care of all there is, and of what comes. */
  start(): void {
    const { containers, pods } = this.#context;
    this.#undo.push(
      containers.onChange((container, before, after) => {
        if (after === undefined) this.#forget(container.id);
        else if (before?.state.kind !== after.state.kind) this.#look(container);
      }),
      pods.onChange((_, pod) => {
        const id = pod?.metadata?.labels?.['caisson.io/id'];
        for (const container of containers.list()) {
          if (id === undefined ? isActive(container.state) : container.id.startsWith(id))
            this.#lookAtPod(container);
        }
      }),
    );
    for (const container of containers.list()) {
      this.#look(container);
      // A removal that another daemon's end has cut short goes on.
      if (container.state.kind === 'removing') {
        void finishRemoval(this.#context, container, { graceSeconds: 0 }).catch(tellOf(container));
      }
    }
  }

  stop(): void {
    for (const undo of this.#undo.splice(0)) undo();
    for (const id of [...this.#followed.keys(), ...this.#restarts.keys()]) this.#forget(id);
  }

  #look(container: ClusterContainer): void {
    const { state } = container;
    if (isActive(state)) {
      const run = `${container.id} ${state.vmId} ${state.runId}`;
      if (this.#followed.has(run)) return;
      const abort = new AbortController();
      this.#followed.set(run, abort);
      void this.#follow(container, state.runId, abort.signal).finally(() => this.#followed.delete(run));
      this.#lookAtPod(container);
    } else if (state.kind === 'restarting') this.#schedule(container);
  }

  /** Resolves when the run is over, or nobody wants to know any more. */
  async #follow(container: ClusterContainer, runId: string, signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => {
      const { state } = container;
      return signal.aborted || !isActive(state) || state.runId !== runId;
    };
    while (!isOver()) {
      try {
        const exit = await this.#exitOf(container, Number(runId), signal);
        if (exit !== undefined && !isOver()) await this.#ended(container, exit);
      } catch (error) {
        if (isOver()) return;
        log.debug('a run is not followed for a moment', {
          containerId: container.id,
          error: errorMessage(error),
        });
      }
      if (!isOver()) await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  async #exitOf(
    container: ClusterContainer,
    run: number,
    signal: AbortSignal,
  ): Promise<HowItEnded | undefined> {
    const supervisor = this.#context.supervisor(podName(container.id));
    let following = await supervisor.follow({ tail: 0, follow: true, holds: false }, signal);
    if (following.start.run !== run) {
      // Another has begun since, before anybody wrote of this one's end: it is in the log.
      following.close();
      following = await supervisor.follow({ from: 0, follow: true, holds: false }, signal);
    }
    const close = (): void => following.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      const { start } = following;
      if (start.state === 'exited' && start.run === run) {
        return {
          exitCode: exitCodeOf(start),
          oomKilled: start.oom,
          error: '',
          finishedAt: formatTimestamp(start.finishedAt),
        };
      }
      for await (const { events } of following.batches) {
        for (const event of events) {
          // The end of the run before may come first: it is behind the last line.
          if (event.kind !== 'exited' || event.run !== run) continue;
          const finishedAt = formatTimestamp(event.timeNs);
          return { exitCode: exitCodeOf(event), oomKilled: event.oom, error: '', finishedAt };
        }
      }
      return undefined;
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }

  /** The Pod of a running container is gone, or its supervisor. */
  #lookAtPod(container: ClusterContainer): void {
    const { state, record } = container;
    if (!isActive(state)) return;
    const pod = this.#context.pods.get(podName(container.id));
    const end = pod === undefined ? undefined : podEnd(pod);
    if (
      pod !== undefined &&
      end === undefined &&
      (runningFacts(pod) !== undefined || record.pod?.uid === pod.metadata?.uid)
    )
      return;
    const lost = (how: HowItEnded): void => {
      void this.#ended(container, how, true).catch(tellOf(container));
    };
    if (end !== undefined) {
      lost({ exitCode: end.exitCode, oomKilled: end.oomKilled, error: `Pod ended: ${end.reason}` });
      return;
    }
    // The watch of records may be ahead of that of Pods.
    setTimeout(() => {
      if (this.#context.pods.get(podName(container.id)) !== undefined || !isActive(container.state)) return;
      lost({ exitCode: killedExitCode, oomKilled: false, error: 'Pod was deleted' });
    }, missingMs).unref();
  }

  async #ended(container: ClusterContainer, how: HowItEnded, podLost = false): Promise<void> {
    const { containers, events } = this.#context;
    const { record } = container;
    const { attachment, left } = await this.#context.networks.detach(container.record);
    const after = await containers.transition(
      container,
      (record) => exitEvent(record, how),
      () => ({ ...attachment, ...(podLost ? { layerLost: true } : {}) }),
    );
    if (after === undefined) return;
    if (podLost) await this.#context.pods.remove(podName(container.id), 0);
    await beginTold(this.#context, record, left);
    publishEnd(this.#context, after, left);
    await events.flush();
    if (after.state.kind !== 'exited' || !after.hostConfig.AutoRemove) return;
    await removeStopped(this.#context, container, {
      volumes: true,
      graceSeconds: autoRemoveGraceSeconds,
    }).catch(tellOf(container));
  }

  #schedule(container: ClusterContainer): void {
    const { state } = container;
    if (state.kind !== 'restarting') return;
    const ranForMs = Number(
      (parseTimestamp(state.finishedAt) - parseTimestamp(state.startedAt)) / 1_000_000n,
    );
    const known = this.#restarts.get(container.id);
    if (known !== undefined) clearTimeout(known.timer);
    const delayMs = nextRestartDelayMs(known?.delayMs ?? 0, ranForMs);
    const timer = setTimeout(() => {
      if (container.state.kind !== 'restarting') return;
      void startContainer(this.#context, container, { byPolicy: true }).catch((error: unknown) => {
        if (isDaemonError(error, 'NotModified')) return;
        log.warn('a restart has failed', { containerId: container.id, error: errorMessage(error) });
      });
    }, delayMs);
    this.#restarts.set(container.id, { timer, delayMs });
  }

  #forget(id: string): void {
    for (const [run, abort] of this.#followed) if (run.startsWith(id)) abort.abort();
    const restart = this.#restarts.get(id);
    if (restart !== undefined) clearTimeout(restart.timer);
    this.#restarts.delete(id);
  }
}

/** `finishedAt` absent: now. */
type HowItEnded = Pick<ExitFacts, 'exitCode' | 'error' | 'oomKilled'> & { finishedAt?: string };

function exitEvent(
  { state, hostConfig, manuallyStopped, restartCount }: ClusterRecord,
  how: HowItEnded,
): { kind: 'exit' | 'exitToRestart'; exit: ExitFacts } | undefined {
  if (!isActive(state)) return undefined;
  const exit: ExitFacts = { finishedAt: nowTimestamp(), ...how, startedAt: state.startedAt };
  const { exitCode } = how;
  const restarts = shouldRestart(hostConfig.RestartPolicy, { exitCode, manuallyStopped, restartCount });
  return { kind: restarts ? 'exitToRestart' : 'exit', exit };
}

function tellOf(container: ClusterContainer): (error: unknown) => void {
  return (error) => {
    log.warn('a container could not be taken care of', {
      containerId: container.id,
      error: errorMessage(error),
    });
  };
}
