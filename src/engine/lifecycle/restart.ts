// ContainerRestart: a stop and a start, between which its Pod stays.

import { DaemonError, errorMessage } from '../../errors';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { namedPodIdOf } from '../vms/named-pods';
import { startContainer, type StartNeeds } from './start';
import { stopSignal } from '../../semantics/containers/stop-signal';
import { stopAndWait, type StopNeeds } from './stop';
import type { PodHolds } from '../core/pod-holds';

/** What a stop and a start work with, and what keeps the Pod between them. */
export type RestartNeeds = StopNeeds & StartNeeds & { readonly podHolds: Pick<PodHolds, 'hold'> };

/** ContainerRestart. `ref` is what the client called it. */
export async function restartContainer(
  engine: RestartNeeds,
  container: Container,
  options: { ref: string; timeoutSeconds?: number; signal?: string },
): Promise<void> {
  // Its Pod must not end in between.
  const release = engine.podHolds.hold(namedPodIdOf(container.record) ?? container.id);
  try {
    await stopAndStart(engine, container, options);
  } catch (error) {
    throw new DaemonError('Internal', `Cannot restart container ${options.ref}: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    release();
  }
}

async function stopAndStart(
  engine: RestartNeeds,
  container: Container,
  options: { timeoutSeconds?: number; signal?: string },
): Promise<void> {
  const signal = stopSignal(container, options.signal);
  const { kind } = container.state;
  if (kind === 'running' || kind === 'paused' || kind === 'restarting') {
    await withoutAutoRemove(engine, container, () =>
      stopAndWait(engine, container, signal, options.timeoutSeconds),
    );
    engine.events.publish('container', 'stop', container.id, eventAttributes(container.record));
  }
  await container.operations.run(() => startContainer(engine, container));
  engine.events.publish('container', 'restart', container.id, eventAttributes(container.record));
}

/** A restart's stop isn't the end of a container that goes with its exit. */
async function withoutAutoRemove(
  engine: { readonly registry: ContainerRegistry },
  container: Container,
  work: () => Promise<void>,
): Promise<void> {
  const { hostConfig } = container.record;
  if (!hostConfig.AutoRemove) return work();
  engine.registry.update(container, { hostConfig: { ...hostConfig, AutoRemove: false } });
  try {
    await work();
  } finally {
    engine.registry.update(container, { hostConfig: { ...container.record.hostConfig, AutoRemove: true } });
  }
}
