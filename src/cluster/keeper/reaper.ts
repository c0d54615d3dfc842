// What a daemon that was killed leaves behind: a command that runs though its record doesn't say so, an end that nobody tells of, removals
// that were begun or never came, Pods of containers that are gone, volumes of containers that never came, containers of builds.

import { Sightings } from '../../async/sightings';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { adoptRun } from '../containers/adopt';
import type { ClusterContext } from '../containers/context';
import { containerLabel, podName } from '../containers/pod-plan';
import { runningFacts } from '../containers/pods';
import { finishRemoval, removeContainer, removeStopped } from '../containers/remove';
import { endIsUntold, endTold } from '../containers/run-events';
import { silentMs } from '../contract/build-beat';
import type { PodFacts } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import { containerIdLabel } from '../records/container-form';

const lookMs = 10_000;
/** So long a daemon that is alive takes, at most, between what it does to a Pod and what it writes of it. */
const unwrittenMs = 30_000;

export class Reaper {
  readonly #context: ClusterContext;
  readonly #sightings: Sightings;
  /** Of a container as it is now, its supervisor has been asked. */
  readonly #asked = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(context: ClusterContext, now?: () => number) {
    this.#context = context;
    this.#sightings = new Sightings(now);
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.look().catch((error: unknown) =>
        log.debug('what is left behind is not looked at', { error: errorMessage(error) }),
      );
    }, lookMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One round. What is seen in two rounds, with time enough between them, is what nobody will write any more. */
  async look(): Promise<void> {
    const { orphans, unwritten, silent, untold, leaving } = await this.#sightings.look((ageMs) =>
      this.#leftBehind((key, ms = unwrittenMs) => ageMs(key) >= ms),
    );
    if (orphans.length > 0) await this.#removeOrphans(orphans);
    for (const container of silent) await this.#removeStep(container);
    for (const { record } of untold) await endTold(this.#context, record);
    for (const container of leaving) await this.#remove(container);
    for (const container of unwritten) await this.#adopt(container);
  }

  async #leftBehind(isOld: (key: string, ms?: number) => boolean): Promise<{
    orphans: { name: string; id: string }[];
    unwritten: ClusterContainer[];
    silent: ClusterContainer[];
    untold: ClusterContainer[];
    leaving: ClusterContainer[];
  }> {
    const containers = this.#context.containers.list();
    const orphans = this.#context.pods.list().flatMap(({ metadata }) => {
      const { name = '', uid = '', labels = {}, deletionTimestamp } = metadata ?? {};
      const id = labels[containerIdLabel];
      if (labels[containerLabel] !== 'true' || id === undefined || deletionTimestamp !== undefined) return [];
      return this.#container(id) === undefined && isOld(`pod ${uid}`) ? [{ name, id }] : [];
    });
    const unwritten = containers.filter((container) => {
      const { id, state, stored } = container;
      const pod = this.#podOf(container);
      if (pod === undefined || (state.kind !== 'created' && state.kind !== 'exited')) return false;
      const key = `${stored.version} ${pod.uid}`;
      return this.#asked.get(id) !== key && isOld(`run ${id} ${key}`);
    });
    const silent = containers.filter(
      ({ id, record: { isBuildStep, buildBeat = 0 } }) =>
        isBuildStep === true && isOld(`step ${id} ${buildBeat}`, silentMs),
    );
    const untold = containers.filter(
      ({ id, record }) => endIsUntold(this.#context, record) && isOld(`end ${id} ${record.state.startedAt}`),
    );
    const leaving = containers.filter(
      ({ id, state: { kind, startedAt }, record: { hostConfig } }) =>
        (kind === 'removing' || (kind === 'exited' && hostConfig.AutoRemove)) &&
        isOld(`${kind} ${id} ${startedAt}`),
    );
    await this.#context.volumes.settle((name) => isOld(`volume ${name}`));
    return { orphans, unwritten, silent, untold, leaving };
  }

  /** Its build went with its daemon. */
  async #removeStep({ id }: ClusterContainer): Promise<void> {
    log.warn('a container is removed whose build is gone', { containerId: id });
    await removeContainer(this.#context, id, { force: true, volumes: true, link: false });
  }

  async #remove(container: ClusterContainer): Promise<void> {
    log.warn('a removal goes on that was left', { containerId: container.id });
    try {
      if (container.state.kind === 'removing')
        await finishRemoval(this.#context, container, { graceSeconds: 0 });
      else await removeStopped(this.#context, container, { volumes: true, graceSeconds: 0 });
    } catch (error) {
      log.warn('it is tried again', { containerId: container.id, error: errorMessage(error) });
    }
  }

  async #removeOrphans(orphans: readonly { name: string; id: string }[]): Promise<void> {
    await this.#context.containers.refresh();
    for (const { name, id } of orphans) {
      if (this.#container(id) !== undefined) continue;
      log.warn('a Pod whose container is gone is removed', { pod: name });
      await this.#context.pods.remove(name, 0);
    }
  }

  /** The daemon that started it may have been killed before it could write so. */
  async #adopt(container: ClusterContainer): Promise<void> {
    const pod = this.#podOf(container);
    if (pod === undefined) return;
    const key = `${container.stored.version} ${pod.uid}`;
    await adoptRun(this.#context, container, pod);
    this.#asked.set(container.id, key);
  }

  #podOf({ id }: ClusterContainer): PodFacts | undefined {
    const pod = this.#context.pods.get(podName(id));
    return pod === undefined ? undefined : runningFacts(pod);
  }

  #container(idLabel: string): ClusterContainer | undefined {
    return this.#context.containers.list().find(({ id }) => id.startsWith(idLabel));
  }
}
