// Health checks, run by the keeper; what they find goes into the records.

import type { Health } from '../../docker/types';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ContainerStateKind } from '../../semantics/containers/container-state';
import { execFailure } from '../../semantics/containers/runtime-errors';
import {
  HealthMonitor,
  type HealthMemory,
  type ProbedContainers,
  type RunProbe,
} from '../../semantics/health/health-monitor';
import { exitCodeOf, sigkill } from '../../translate/signals';
import type { ClusterContext } from '../containers/context';
import { podName, processOf } from '../containers/pod-plan';
import type { ClusterContainer } from '../records/cluster-container';
import { randomBytes } from 'node:crypto';

/** More than the monitor keeps of it. */
const gatheredBytes = 8192;

/** At hand at once, and in the record a moment later. */
class RecordedHealths implements HealthMemory {
  readonly #context: ClusterContext;
  readonly #byContainer = new Map<string, Health>();

  constructor(context: ClusterContext) {
    this.#context = context;
    for (const { id, record } of context.containers.list())
      if (record.health !== undefined) this.#byContainer.set(id, record.health);
  }

  get(containerId: string): Health | undefined {
    return this.#byContainer.get(containerId);
  }

  set(containerId: string, health: Health): void {
    this.#byContainer.set(containerId, health);
    const container = this.#context.containers.byId(containerId);
    if (container === undefined) return;
    void this.#context.containers
      .update(container, (record) => ({ ...record, health: this.#byContainer.get(containerId) ?? health }))
      .catch((error: unknown) =>
        log.debug('health not recorded', { containerId, error: errorMessage(error) }),
      );
  }

  delete(containerId: string): void {
    this.#byContainer.delete(containerId);
  }

  keepOnly(isKnown: (containerId: string) => boolean): void {
    for (const id of [...this.#byContainer.keys()]) if (!isKnown(id)) this.delete(id);
  }
}

/** Returns what ends them. */
export function keepHealths(context: ClusterContext): () => void {
  const undo: (() => void)[] = [];
  const probed: ProbedContainers<ClusterContainer> = {
    list: () => context.containers.list(),
    onTransition(listener: (container: ClusterContainer, before: ContainerStateKind) => void) {
      undo.push(
        context.containers.onChange((container, before, after) => {
          if (after === undefined || before === undefined || before.state.kind === after.state.kind) return;
          listener(container, before.state.kind);
        }),
      );
    },
  };
  const monitor = new HealthMonitor<ClusterContainer>(probed, context.events, new RecordedHealths(context));
  monitor.start(probeIn(context), () => Promise.resolve());
  return () => {
    for (const step of undo) step();
    monitor.close();
  };
}

function probeIn(context: ClusterContext): RunProbe<ClusterContainer> {
  return async (container, args, signal) => {
    const id = randomBytes(32).toString('hex');
    const supervisor = context.supervisor(podName(container.id));
    const process = { ...processOf(container.record, []), args, terminal: false };
    const kill = (): void => void supervisor.signal(sigkill, id).catch(() => undefined); // it may have ended
    const running = await supervisor
      .exec({ id, process, stdin: false, stdout: true, stderr: true, detach: false }, signal)
      .catch((error: unknown) => Promise.reject(execFailure(error)));
    signal.addEventListener('abort', kill, { once: true });
    try {
      const chunks: Buffer[] = [];
      let gathered = 0;
      for await (const { data } of running.output) {
        if (gathered < gatheredBytes) chunks.push(data);
        gathered += data.length;
      }
      return { exitCode: exitCodeOf(await running.exit), output: Buffer.concat(chunks) };
    } finally {
      signal.removeEventListener('abort', kill);
      running.close();
    }
  };
}
