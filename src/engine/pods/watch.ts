// Follows what becomes of the containers of Pods with a record, whoever starts, stops or removes them: keeps the VM while one
// of the main ones is to run, ends the Pod when none is, and tells those who wait.

import { log } from '../../log';
import type { PodWaitReply } from '../../api/v1/types';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';
import { KeyedWaiters } from '../../async/keyed-waiters';
import { namedPodIdOf } from '../vms/named-pods';
import type { PodDirectory, PodHandle, PodMember } from './directory';
import { removeMembers } from './members';
import type { PodRecords } from '../core/pod-record';
import { isAlive } from './view';
import type { Pods } from '../vms/pods';
import type { BackgroundWork } from '../../async/background-work';
import type { PodHolds } from '../core/pod-holds';
import type { RemoveNeeds } from '../lifecycle/remove';

/** What tells of a Pod's containers, and what is done about its VM. */
export type WatchNeeds = RemoveNeeds & {
  readonly registry: ContainerRegistry;
  readonly podHolds: Pick<PodHolds, 'has' | 'onChange'>;
  readonly pods: Pick<Pods, 'isPinned' | 'keepVm' | 'pin' | 'unpin'>;
  readonly background: Pick<BackgroundWork, 'add'>;
};

export interface PodWatchParts {
  engine: WatchNeeds;
  records: PodRecords;
  directory: PodDirectory;
  /** Runs `work` behind the Pod's other operations. */
  inQueue: (podId: string, work: () => Promise<void>) => Promise<void>;
  isStarting: (podId: string) => boolean;
  /** Its main containers have ended: the rest shall. In its queue. */
  finish: (pod: PodHandle) => Promise<void>;
}

export class PodWatch {
  readonly #parts: PodWatchParts;
  /** Each waits for the Pod's main containers. */
  readonly #waiters = new KeyedWaiters<readonly PodMember[], PodWaitReply>();

  constructor(parts: PodWatchParts) {
    this.#parts = parts;
    parts.engine.podHolds.onChange((podId) => this.#onHold(podId));
    parts.engine.registry.onTransition((container) => this.#onTransition(container));
  }

  /** Brings records, which a crash may have left behind their containers, to the truth. `restart`: a start was cut short. */
  recover(restart: (podId: string) => void): void {
    const { engine, records, directory } = this.#parts;
    for (const { id, phase, template } of records.list()) {
      const pod = directory.byId(id);
      if (pod === undefined) continue;
      if (phase === 'Making') {
        this.#removeHalfMade(pod);
        continue;
      }
      if (template.keepVm === true) engine.pods.keepVm(id, true);
      if (phase === 'Starting') restart(id);
      else if (mainsOf(pod).some(isAlive)) {
        engine.pods.pin(id);
        records.tryStep(id, 'run');
        records.tryStep(id, 'started');
      } else {
        records.tryStep(id, 'rest');
        if (phase === 'Running') this.#review(id);
      }
    }
  }

  #removeHalfMade({ id, members }: PodHandle): void {
    const { engine, records, inQueue } = this.#parts;
    log.info('half-made Pod is removed', { podId: id });
    const removal = inQueue(id, async () => {
      await removeMembers(engine, members, { volumes: true }).catch((error: unknown) =>
        log.error('half-made Pod could not be removed', { podId: id, error }),
      );
      records.remove(id);
    });
    engine.background.add(removal);
  }

  /** See PodService.wait. */
  wait(pod: PodHandle, signal?: AbortSignal): Promise<PodWaitReply> {
    const mains = mainsOf(pod);
    if (!this.#isBusy(pod.id, mains)) return Promise.resolve(waitReply(mains));
    return this.#waiters.wait(pod.id, mains, signal);
  }

  /** Something other than a container's state has changed. */
  changed(podId: string): void {
    this.#tellWaiters(podId);
    if (this.#parts.records.get(podId) !== undefined) this.#review(podId);
  }

  #onHold(podId: string): void {
    const { engine, records } = this.#parts;
    if (records.get(podId) !== undefined && engine.podHolds.has(podId)) engine.pods.pin(podId);
    this.changed(podId);
  }

  #onTransition(container: Container): void {
    const podId = namedPodIdOf(container.record) ?? container.id;
    this.#tellWaiters(podId);
    if (this.#parts.records.get(podId) !== undefined) this.#review(podId, container);
  }

  #tellWaiters(podId: string): void {
    this.#waiters.tell(podId, (mains) => (this.#isBusy(podId, mains) ? undefined : waitReply(mains)));
  }

  #isBusy(podId: string, mains: readonly PodMember[]): boolean {
    return this.#parts.isStarting(podId) || this.#parts.engine.podHolds.has(podId) || mains.some(isAlive);
  }

  #review(podId: string, container?: Container): void {
    const { engine, inQueue } = this.#parts;
    if (container !== undefined && isAlive({ container, name: '', role: 'main' })) engine.pods.pin(podId);
    const review = inQueue(podId, async () => {
      // What the change has led to is over: a removal is complete.
      await container?.operations.run(() => Promise.resolve());
      await this.#settle(podId);
    }).catch((error: unknown) => log.error('Pod could not follow its containers', { podId, error }));
    engine.background.add(review);
  }

  /** In the Pod's queue: neither a start nor a stop of it is under way. */
  async #settle(podId: string): Promise<void> {
    const { engine, records, directory, finish } = this.#parts;
    const record = records.get(podId);
    const pod = directory.byId(podId);
    if (record === undefined || pod === undefined) return;
    if (pod.members.length === 0) {
      // Docker clients have removed all there was.
      await engine.pods.unpin(podId);
      engine.pods.keepVm(podId, false);
      records.remove(podId);
      return;
    }
    if (this.#isBusy(podId, mainsOf(pod))) {
      engine.pods.pin(podId);
      records.tryStep(podId, 'run');
      records.tryStep(podId, 'started');
    } else if (record.phase !== 'Created' || engine.pods.isPinned(podId)) {
      await finish(pod);
    }
  }
}

function mainsOf(pod: PodHandle): PodMember[] {
  return pod.members.filter(({ role }) => role === 'main');
}

function waitReply(mains: readonly PodMember[]): PodWaitReply {
  const containers = mains.map(({ container: { state }, name }) => ({
    name,
    exitCode: isActive(state) ? 0 : state.exitCode,
    error: isActive(state) ? '' : state.error,
  }));
  return { exitCode: containers.find(({ exitCode }) => exitCode !== 0)?.exitCode ?? 0, containers };
}
