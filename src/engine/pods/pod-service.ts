// pods/: Pods and VMs as users of /v1 see them.
//
// PodService: Pods as such, over the containers that Docker clients see. Operations on one Pod queue behind each other; what
// happens to its containers by themselves, or by Docker clients, is followed by PodWatch.

import { createContainer, type CreateOptions, type CreateNeeds } from '../create/create';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { PodHooks, PodService } from '../../api/v1/backend';
import type {
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
} from '../../api/v1/types';
import { donorsOf, type Donors } from '../lifecycle/entrances/placement';
import { disksOf } from '../vms/pod-plan';
import type { GuestStats } from '../views/stats';
import { isActive } from '../../semantics/containers/container-state';
import { killContainer, pauseContainer, unpauseContainer, type PauseNeeds } from '../lifecycle/stop';
import { namedPodId } from '../vms/named-pods';
import { Gates } from '../../async/gates';
import type { PodDirectory, PodHandle, PodMember } from './directory';
import { killMembers, removeMembers, startMembers, stopMembers, type MemberHooks } from './members';
import type { PodRecord, PodRecords } from '../core/pod-record';
import { containerBody, dockerName, validateTemplate } from './template';
import { findVm, isAlive, podInspect, podSummary, vmOf, type PodActivity } from './view';
import { PodWatch, type WatchNeeds } from './watch';
import { nowTimestamp } from '../../go/timestamp';
import type { Engine } from '../engine';
import type { Adoptions } from '../vms/adoptions';
import type { Pods } from '../vms/pods';
import type { BackgroundWork } from '../../async/background-work';
import type { VmPool } from '../../vm/contract/vm';
import type { PodHolds } from '../core/pod-holds';
import type { StartNeeds } from '../lifecycle/start';

/** A Pod is made, started, replaced and removed: what its containers' verbs work with, and what its VM is kept by. */
export type PodNeeds = CreateNeeds &
  StartNeeds &
  PauseNeeds &
  WatchNeeds &
  Pick<Engine, 'networks'> & {
    readonly networkReleases: Pick<BackgroundWork, 'current'>;
    readonly podHolds: Pick<PodHolds, 'drop' | 'hold'>;
    readonly pods: Pods;
    readonly adoptions: Adoptions;
    readonly vms: VmPool;
  };

/** Newer than 1.44, from which a container may be created on several networks. */
const newestApi: CreateOptions['version'] = { major: 1, minor: 44 };

export interface PodServiceParts {
  engine: PodNeeds;
  stats: GuestStats;
  records: PodRecords;
  directory: PodDirectory;
}

/** What an operation does with a Pod as long as it takes. */
type Activity = { kind: 'Starting'; abort: AbortController } | { kind: 'Stopping' };

export class EnginePods implements PodService {
  readonly #engine: PodNeeds;
  readonly #stats: GuestStats;
  readonly #records: PodRecords;
  readonly #directory: PodDirectory;
  readonly #operations = new Gates();
  /** What is under way in the queues, by Pod. */
  readonly #activities = new Map<string, Activity>();
  readonly #watch: PodWatch;
  #hooks: PodHooks = {};

  constructor({ engine, stats, records, directory }: PodServiceParts) {
    this.#stats = stats;
    this.#engine = engine;
    this.#records = records;
    this.#directory = directory;
    this.#watch = new PodWatch({
      engine,
      records,
      directory,
      inQueue: (id, work) => this.#operations.of(id).run(work),
      isStarting: (id) => this.#activity(id) === 'Starting',
      finish: (pod) => this.#finish(pod),
    });
  }

  /** Once, when the containers' recovery is under way, before anyone may ask for anything. */
  recover(): void {
    this.#watch.recover((id) => {
      const again = this.#startAgain(id).catch((error: unknown) =>
        log.error('Pod could not be started', { podId: id, error }),
      );
      this.#engine.background.add(again);
    });
  }

  /** After a start that the last daemon did not come to the end of. */
  #startAgain(id: string): Promise<void> {
    return this.#operations.of(id).run(async () => {
      const pod = this.#still(id, id);
      await killMembers(this.#engine, pod);
      await this.#engine.pods.unpin(id);
      await this.#engine.pods.settled(id);
      this.#records.step(id, 'rest');
      await this.#start(pod, {});
    });
  }

  /** Resolves when it is known what has become of a Pod's containers while no daemon was there. Never rejects. */
  async whenKnown(name: string): Promise<void> {
    const members = this.#directory.byId(namedPodId(name))?.members ?? [];
    await Promise.all(
      members.map(async ({ container }) => {
        await this.#engine.adoptions.whenSettled(container);
        // What was found is recorded in its queue.
        await container.operations.run(() => Promise.resolve());
      }),
    );
  }

  setHooks(hooks: PodHooks): void {
    this.#hooks = hooks;
  }

  async create(template: PodTemplate): Promise<PodCreateReply> {
    validateTemplate(template);
    const { name } = template;
    const id = namedPodId(name);
    return this.#operations.of(id).run(async () => {
      this.#requireFreeName(id, name);
      const record: PodRecord = {
        id,
        name,
        createdAt: nowTimestamp(),
        template,
        containers: [],
        phase: 'Making',
      };
      this.#records.add(record);
      try {
        const warnings = await this.#makeContainers(record);
        this.#records.step(id, 'made');
        if (template.keepVm === true) this.#engine.pods.keepVm(id, true);
        return { id, name, warnings };
      } catch (error) {
        await this.#unmake(id);
        throw error;
      }
    });
  }

  start(ref: string, request: PodStartRequest = {}, signal?: AbortSignal): Promise<PodStartReply> {
    const { id } = this.#directory.find(ref);
    return this.#operations.of(id).run(() => this.#start(this.#still(id, ref), request, signal));
  }

  async stop(ref: string, request: PodStopRequest = {}): Promise<PodStopReply> {
    const { id, name } = this.#directory.find(ref);
    this.#hooks.beforeStop?.(name);
    const starting = this.#giveUpStart(id);
    return this.#operations.of(id).run(async () => {
      const pod = this.#still(id, ref);
      if (!this.#isUp(pod)) {
        if (starting) return { id };
        throw new DaemonError('NotModified', `Pod ${pod.name} is not running`);
      }
      return { id, ...(await this.#stop(pod, request)) };
    });
  }

  async replace(oldRef: string, request: PodReplaceRequest): Promise<PodStartReply> {
    const { pod: newRef, template } = request;
    if ((newRef === undefined) === (template === undefined)) {
      throw new DaemonError('InvalidParameter', 'exactly one of pod and template must be given');
    }
    const old = this.#directory.find(oldRef);
    this.#requireReplaceable(old);
    const made = template === undefined ? undefined : await this.create(template);
    try {
      const next = this.#directory.find(made?.id ?? newRef ?? '');
      if (next.id === old.id) {
        throw new DaemonError('Conflict', `Pod ${old.name} can't replace itself`);
      }
      // In one order, whoever replaces whom.
      const [first, second] = [old.id, next.id].sort();
      return await this.#operations
        .of(first ?? '')
        .run(() =>
          this.#operations
            .of(second ?? '')
            .run(() => this.#replace(this.#still(old.id, oldRef), this.#still(next.id, next.name), request)),
        );
    } catch (error) {
      if (made !== undefined && this.#records.get(made.id) !== undefined) {
        await this.remove(made.id, { force: true, volumes: true });
      }
      throw error;
    }
  }

  async remove(ref: string, options: { force?: boolean; volumes?: boolean } = {}): Promise<void> {
    const { id, name, ...pod } = this.#directory.find(ref);
    const { force = false, volumes = false } = options;
    if (!force && this.#isUp({ id, name, ...pod })) throw this.#runs(name);
    if (force) this.#giveUpStart(id);
    await this.#operations.of(id).run(async () => {
      const current = this.#directory.byId(id);
      if (current === undefined) return;
      if (this.#isUp(current)) {
        if (!force) throw this.#runs(name);
        await killMembers(this.#engine, current);
        await this.#engine.pods.unpin(id);
      }
      await this.#engine.pods.settled(id);
      await removeMembers(this.#engine, current.members, { volumes });
      this.#forget(id);
    });
  }

  inspect(ref: string): PodInspect {
    const pod = this.#directory.find(ref);
    return podInspect(this.#engine, pod, this.#activity(pod.id));
  }

  list({ labels = [] }: { labels?: readonly string[] } = {}): PodSummary[] {
    return this.#directory
      .list()
      .filter((pod) => labels.every((label) => hasLabel(pod.labels, label)))
      .map((pod) => podSummary(this.#engine, pod, this.#activity(pod.id)));
  }

  /** For `info`. */
  counts(): { total: number; created: number; running: number } {
    const all = this.list();
    const running = all.filter(({ state }) => state === 'Running').length;
    return { total: all.length, created: all.length - running, running };
  }

  pause(ref: string): Promise<void> {
    return this.#onRunning(ref, pauseContainer, unpauseContainer);
  }

  unpause(ref: string): Promise<void> {
    return this.#onRunning(ref, unpauseContainer, pauseContainer);
  }

  async kill(ref: string, signal?: string): Promise<void> {
    const pod = this.#directory.find(ref);
    const targets = pod.members.filter((member) => member.role !== 'init' && isAlive(member));
    if (targets.length === 0) throw notRunning(pod);
    await Promise.all(
      targets.map(({ container }) =>
        killContainer(this.#engine, container, {
          ref: container.id,
          ...(signal === undefined ? {} : { signal }),
        }),
      ),
    );
  }

  async wait(ref: string, signal?: AbortSignal): Promise<PodWaitReply> {
    return this.#watch.wait(this.#directory.find(ref), signal);
  }

  async *stats(ref: string, options: { stream: boolean }, signal: AbortSignal): AsyncIterable<PodStats> {
    const { id } = this.#directory.find(ref);
    do {
      const pod = this.#directory.byId(id);
      if (pod === undefined) return;
      const running = pod.members.filter(({ container }) => isActive(container.state));
      const containers = await Promise.all(
        running.map(async ({ container, name }) => {
          const samples = this.#stats.stream(container, { stream: false, oneShot: false }, signal);
          const { value } = await samples.next();
          return { name, id: container.id, stats: value ?? {} };
        }),
      );
      yield { id, name: pod.name, containers };
      if (running.length === 0) return;
    } while (options.stream && !signal.aborted);
  }

  containerId(ref: string, containerName: string): string {
    const pod = this.#directory.find(ref);
    if (containerName === '') {
      const [only, ...others] = pod.members.filter(({ role }) => role === 'main');
      if (only !== undefined && others.length === 0) return only.container.id;
      const names = pod.members.map(({ name }) => name).join(', ');
      throw new DaemonError(
        'InvalidParameter',
        `Pod ${pod.name} has several containers, name one of: ${names}`,
      );
    }
    const found =
      pod.members.find(({ name }) => name === containerName) ??
      pod.members.find(({ container }) => container.name === containerName);
    if (found !== undefined) return found.container.id;
    throw new DaemonError('NotFound', `Pod ${pod.name} has no container ${containerName}`);
  }

  hold(ref: string): () => void {
    const pod = this.#directory.find(ref);
    if (!this.#isUp(pod)) throw notRunning(pod);
    return this.#engine.podHolds.hold(pod.id);
  }

  async #makeContainers({ id, template }: PodRecord): Promise<string[]> {
    const warnings: string[] = [];
    const made: PodRecord['containers'] = [];
    for (const container of template.containers) {
      const reply = await createContainer(this.#engine, containerBody(template, container), {
        name: dockerName(template, container),
        version: newestApi,
      });
      made.push({ id: reply.Id, name: container.name, role: container.role ?? 'main' });
      warnings.push(...reply.Warnings);
      this.#records.setContainers(id, made);
    }
    return [...new Set(warnings)];
  }

  /** Never throws. */
  async #unmake(id: string): Promise<void> {
    const made = this.#records.get(id)?.containers ?? [];
    const members = made.flatMap(({ id: containerId }) => this.#engine.registry.byId(containerId) ?? []);
    await removeMembers(
      this.#engine,
      members.map((container) => ({ container })),
      { volumes: true },
    ).catch((error: unknown) => log.warn('half-made Pod could not be undone', { podId: id, error }));
    this.#records.remove(id);
  }

  #requireFreeName(id: string, name: string): void {
    const labelled = this.#directory.byId(id);
    if (labelled === undefined || labelled.kind === 'pod') return;
    const containers = labelled.members.map(({ container }) => container.name).join(', ');
    throw new DaemonError(
      'Conflict',
      `the Pod name "${name}" is already in use by containers with the label caisson.pod: ${containers}`,
    );
  }

  async #start(pod: PodHandle, { vmId }: PodStartRequest, signal?: AbortSignal): Promise<PodStartReply> {
    const engine = this.#engine;
    const { id } = pod;
    if (this.#isUp(pod)) throw new DaemonError('Conflict', `Pod ${pod.name} is running already`);
    requireComplete(pod);
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    if (vmId !== undefined) {
      requireNoDonor(engine, pod);
      engine.pods.place(id, findVm(engine.vms, vmId).id);
    }
    const end = this.#begin(id, { kind: 'Starting', abort });
    if (pod.kind === 'pod') engine.pods.pin(id);
    this.#records.tryStep(id, 'run');
    try {
      const startedOn = await startMembers(engine, pod, this.#memberHooks(pod, abort.signal), abort.signal);
      this.#records.tryStep(id, 'started');
      return { id, vmId: startedOn };
    } catch (error) {
      await killMembers(engine, pod);
      await this.#rest(pod);
      throw error;
    } finally {
      engine.pods.place(id, undefined);
      end();
      signal?.removeEventListener('abort', giveUp);
      this.#watch.changed(id);
    }
  }

  async #stop(
    pod: PodHandle,
    { timeoutSeconds, keepVm = false }: PodStopRequest,
  ): Promise<{ keptVmId?: string }> {
    const engine = this.#engine;
    const vmId = vmOf(engine, pod);
    if (keepVm) this.#requireVmOfItsOwn(pod);
    const end = this.#begin(pod.id, { kind: 'Stopping' });
    if (keepVm) engine.pods.keepVm(pod.id, true);
    try {
      await stopMembers(engine, pod, this.#memberHooks(pod), timeoutSeconds);
      await this.#rest(pod);
    } finally {
      engine.pods.keepVm(pod.id, pod.record?.template.keepVm ?? false);
      end();
    }
    const vm = vmId === undefined ? undefined : engine.vms.find(vmId);
    return vm?.held === true ? { keptVmId: vm.id } : {};
  }

  async #replace(old: PodHandle, next: PodHandle, request: PodReplaceRequest): Promise<PodStartReply> {
    const engine = this.#engine;
    this.#requireReplaceable(old);
    if (this.#isUp(next)) throw new DaemonError('Conflict', `Pod ${next.name} is running already`);
    requireComplete(next);
    requireNoDonor(engine, next);
    if (request.keepAddress === true) engine.networks.inherit(old.id, next.id);
    this.#hooks.beforeStop?.(old.name);
    const vmId = await this.#handOver(old, next, request);
    try {
      return await this.#start(next, { vmId });
    } catch (error) {
      throw new DaemonError(
        'Internal',
        `Pod ${old.name} is stopped, and Pod ${next.name} could not be started on its VM: ${errorMessage(error)}`,
        { cause: error },
      );
    } finally {
      // Only a start that has failed has left it.
      await engine.pods.discard(vmId);
      await this.#rest(old);
    }
  }

  /** Stops the old Pod, and has its VM ready for the next one. */
  async #handOver(old: PodHandle, next: PodHandle, { timeoutSeconds }: PodReplaceRequest): Promise<string> {
    const engine = this.#engine;
    const vmId = vmOf(engine, old) ?? '';
    await engine.pods.settled(next.id);
    // What goes with its exit has its disk deleted then, and must be out of the VM.
    const goes = old.members.some(({ container }) => container.record.hostConfig.AutoRemove);
    if (goes) {
      await this.#stop(old, { keepVm: true, ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }) });
    } else {
      const disks = next.members.map(({ container }) => disksOf(engine, container.record));
      const handOver = engine.pods.handOver(old.id, await Promise.all(disks));
      await this.#giveUpVm(old, timeoutSeconds, handOver?.passed);
    }
    await engine.networkReleases.current();
    if (engine.vms.find(vmId)?.state.kind === 'Idle') return vmId;
    await this.#rest(old);
    throw new DaemonError(
      'Internal',
      `Pod ${old.name} is stopped, but its VM could not be kept: Pod ${next.name} was not started`,
    );
  }

  /** Stops the Pod; the last of its containers that ends leaves the VM to what was arranged. */
  async #giveUpVm(
    pod: PodHandle,
    timeoutSeconds: number | undefined,
    passed: Promise<void> | undefined,
  ): Promise<void> {
    const engine = this.#engine;
    const end = this.#begin(pod.id, { kind: 'Stopping' });
    engine.pods.keepVm(pod.id, true);
    try {
      engine.podHolds.drop(pod.id);
      await engine.pods.unpin(pod.id);
      await stopMembers(engine, pod, this.#memberHooks(pod), timeoutSeconds, passed);
    } finally {
      await engine.pods.endHandOver(pod.id);
      engine.pods.keepVm(pod.id, pod.record?.template.keepVm ?? false);
      end();
      this.#watch.changed(pod.id);
    }
  }

  #requireReplaceable(old: PodHandle): void {
    if (!this.#isUp(old)) throw notRunning(old);
    this.#requireVmOfItsOwn(old);
  }

  /** The VM must not be another's too, as with `docker run --network container:X`. */
  #requireVmOfItsOwn(pod: PodHandle): void {
    const running = this.#engine.pods.find(pod.id);
    const own = new Set(pod.members.map(({ container }) => container.id));
    if (running === undefined) {
      throw new DaemonError(
        'Conflict',
        `Pod ${pod.name} runs in the VM of another, which can't be kept for it`,
      );
    }
    const others = [...running.members.keys()].filter((id) => !own.has(id));
    if (others.length === 0) return;
    const names = others.map((id) => this.#engine.registry.byId(id)?.name ?? id).join(', ');
    throw new DaemonError('Conflict', `the VM of Pod ${pod.name} can't be kept: ${names} run in it too`);
  }

  /** The watch has seen that its main containers are at their end. In its queue. */
  async #finish(pod: PodHandle): Promise<void> {
    const end = this.#begin(pod.id, { kind: 'Stopping' });
    try {
      await stopMembers(this.#engine, pod, this.#memberHooks(pod), undefined);
      await this.#rest(pod);
    } finally {
      end();
    }
  }

  /** No container of it runs: its VM goes, or is kept, and it goes with it if that was asked for. */
  async #rest(pod: PodHandle): Promise<void> {
    this.#engine.podHolds.drop(pod.id);
    await this.#engine.pods.unpin(pod.id);
    await this.#engine.pods.ended(pod.id);
    this.#records.tryStep(pod.id, 'rest');
    if (pod.record?.template.autoRemove !== true) return;
    await this.#engine.pods.settled(pod.id);
    await removeMembers(this.#engine, pod.members, { volumes: true });
    this.#forget(pod.id);
  }

  #forget(id: string): void {
    this.#engine.pods.keepVm(id, false);
    this.#records.remove(id);
  }

  async #onRunning(
    ref: string,
    work: (engine: PauseNeeds, container: PodMember['container']) => Promise<void>,
    undo: typeof work,
  ): Promise<void> {
    const { id } = this.#directory.find(ref);
    await this.#operations.of(id).run(async () => {
      const pod = this.#still(id, ref);
      const targets = pod.members.filter(isAlive);
      if (targets.length === 0) throw notRunning(pod);
      const done: PodMember[] = [];
      try {
        for (const member of targets) {
          await member.container.operations.run(() => work(this.#engine, member.container));
          done.push(member);
        }
      } catch (error) {
        for (const { container } of done.reverse()) {
          await container.operations
            .run(() => undo(this.#engine, container))
            .catch((undoError: unknown) =>
              log.warn('container of a Pod could not be brought back', {
                containerId: container.id,
                undoError,
              }),
            );
        }
        throw error;
      }
    });
  }

  #memberHooks(pod: PodHandle, signal: AbortSignal = new AbortController().signal): MemberHooks {
    const shown = (): PodInspect => podInspect(this.#engine, pod, this.#activity(pod.id));
    return {
      afterStart: async ({ name }) => {
        if (pod.record !== undefined) await this.#hooks.afterContainerStart?.(shown(), name, signal);
      },
      beforeStop: async ({ name }) => {
        if (pod.record === undefined) return;
        await this.#hooks
          .beforeContainerStop?.(shown(), name)
          .catch((error: unknown) => log.warn('hook before a stop failed', { podId: pod.id, name, error }));
      },
    };
  }

  #giveUpStart(id: string): boolean {
    const activity = this.#activities.get(id);
    if (activity?.kind !== 'Starting') return false;
    activity.abort.abort();
    return true;
  }

  /** In the Pod's queue, so there is never another under way. Until the function that it returns is called. */
  #begin(id: string, activity: Activity): () => void {
    const before = this.#activity(id);
    if (before !== undefined) throw new RangeError(`Pod ${id} is ${before}: no ${activity.kind}`);
    this.#activities.set(id, activity);
    return () => void this.#activities.delete(id);
  }

  #activity(id: string): PodActivity {
    return this.#activities.get(id)?.kind;
  }

  #isUp(pod: PodHandle): boolean {
    if (this.#activity(pod.id) === 'Starting' || pod.members.some(isAlive)) return true;
    // Where containers have joined one of Docker's, their VM is not its own any more.
    return pod.kind !== 'container' && this.#engine.pods.find(pod.id) !== undefined;
  }

  #still(id: string, ref: string): PodHandle {
    const pod = this.#directory.byId(id);
    if (pod === undefined) throw new DaemonError('NotFound', `No such Pod: ${ref}`);
    return pod;
  }

  #runs(name: string): DaemonError {
    return new DaemonError(
      'Conflict',
      `Pod ${name} is running: stop it before it can be removed, or force the removal`,
    );
  }
}

function requireComplete({ name, record, members }: PodHandle): void {
  const there = new Set(members.map(({ container }) => container.id));
  const gone = (record?.containers ?? []).filter(({ id }) => !there.has(id));
  if (gone.length === 0) return;
  throw new DaemonError(
    'Conflict',
    `Pod ${name} can't start: of its containers ${gone.map((container) => container.name).join(', ')} were removed`,
  );
}

/** What joins another container runs where that one does. */
function requireNoDonor(engine: Donors, { name, members }: PodHandle): void {
  const [donor] = members.flatMap(({ container }) => donorsOf(engine, container.record));
  if (donor === undefined) return;
  throw new DaemonError(
    'Conflict',
    `Pod ${name} can't be put on a VM: it shares namespaces of container ${donor.name}, and runs where that does`,
  );
}

function notRunning({ name }: PodHandle): DaemonError {
  return new DaemonError('Conflict', `Pod ${name} is not running`);
}

/** `label`: `name` or `name=value`. */
function hasLabel(labels: Readonly<Record<string, string>>, label: string): boolean {
  const equals = label.indexOf('=');
  return equals < 0 ? label in labels : labels[label.slice(0, equals)] === label.slice(equals + 1);
}
