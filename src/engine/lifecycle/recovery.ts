// At the daemon's start: every record, VM, endpoint and disk is brought to the truth, while clients are served already. Records
// say what was last known; VMs are waited for side by side, and nothing but what is in one of them waits for it.

import { log } from '../../log';
import type { FoundVm, FoundVms, Vm } from '../../vm/contract/vm';
import type { BackgroundWork } from '../../async/background-work';
import type { Gates } from '../../async/gates';
import { writableDiskId } from '../../translate/pod-to-vm';
import { checkpointsOf } from './checkpoint';
import { RestoredDisk } from './checkpoints/restore';
import { exitTransition, type RunEndNeeds } from './exit';
import { releaseAllEndpoints } from '../networks/container-network';
import type { Container, ContainerRegistry } from '../core/container-registry';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import { removeStopped, type RemovalNeeds } from './remove';
import { donorsOf } from './entrances/placement';
import { runContainer, type StartNeeds } from './start';
import { adoptPod, type AdoptionNeeds, type RecordedRun } from './adopt';
import { findLeftovers, removeLeftovers, type LeftoverNeeds } from './leftovers';
import { isActive, type RunFacts } from '../../semantics/containers/container-state';
import { endVm } from '../vms/end-vm';
import { namedPodIdOf } from '../vms/named-pods';
import type { Adoptions, ExpectedVm } from '../vms/adoptions';
import { startsWithDaemon } from '../../semantics/containers/restart-policy';
import type { Pods } from '../vms/pods';
import type { StreamHubs } from '../../semantics/streams/stream-hub';

export type RecoveryNeeds = AdoptionNeeds &
  LeftoverNeeds &
  RunEndNeeds &
  StartNeeds &
  RemovalNeeds & {
    readonly pods: Pick<Pods, 'find'>;
    readonly podGates: Gates;
    readonly adoptions: Adoptions;
    readonly waits: Pick<ContainerWaits, 'exited'>;
    readonly hubs: Pick<StreamHubs, 'of'>;
    readonly background: BackgroundWork;
  };

/** What a container shows that was lost while no daemon was there, with the host for example. Docker's. */
const lostExitCode = 255;
/** What it shows that was killed, with its VM, before that had answered. */
const killedExitCode = 137;

/** Containers whose records say that they run in this VM. */
export function recordedRuns(
  { registry }: { readonly registry: ContainerRegistry },
  vmId: string,
): RecordedRun[] {
  return registry.list().flatMap((container) => {
    const { state, record } = container;
    // The client of a build has gone with its daemon.
    return isActive(state) && state.vmId === vmId && record.isBuildStep !== true
      ? { container, run: state }
      : [];
  });
}

/**
 * Once, after the registry is loaded and before anyone may ask for anything. When it resolves, whatever is asked of a container
 * waits for what is still to be found out about it. `over`, which never rejects: every record is true; starts that restart
 * policies ask for go on in the background.
 */
export async function recoverContainers(
  engine: RecoveryNeeds,
  found: FoundVms,
): Promise<{ over: Promise<void> }> {
  await adoptVolumes(engine);
  const leftovers = await findLeftovers(engine);
  const recovery = new Recovery(engine, found);
  return { over: recovery.run().then(() => removeLeftovers(engine, leftovers)) };
}

/** Volumes in memory stay as long as any container that may run has them. */
async function adoptVolumes({
  registry,
  volumes,
}: Pick<RecoveryNeeds, 'registry' | 'volumes'>): Promise<void> {
  for (const { id, state, record } of registry.list()) {
    if (!isActive(state)) continue;
    for (const { Type, Name } of record.mounts) if (Type === 'volume') volumes.tmpfs.adopt(Name ?? '', id);
  }
  await volumes.releaseUnused();
}

class Recovery {
  readonly #engine: RecoveryNeeds;
  readonly #found: FoundVms;
  /** By VM: nothing of it is open any more. Never rejects. */
  readonly #settled = new Map<string, Promise<void>>();
  /** By container, all there were: its record is true. Never rejects. */
  readonly #recovered = new Map<Container, Promise<void>>();
  /** As they were found. */
  readonly #wasActive: ReadonlySet<Container>;
  /** Those that ended, or will be found to have ended, while no daemon was there. */
  readonly #policies = new Set<Container>();
  readonly #adopted = new Set<Container>();
  readonly #starts = new Map<Container, Promise<void>>();

  constructor(engine: RecoveryNeeds, found: FoundVms) {
    this.#engine = engine;
    this.#found = found;
    this.#wasActive = new Set(engine.registry.list().filter(({ state }) => isActive(state)));
  }

  /** Everything that others must queue behind is queued before this returns its promise. */
  async run(): Promise<void> {
    const { registry } = this.#engine;
    const containers = registry.list();
    for (const vm of this.#found.vms) this.#expect(vm, vm.answered);
    const known = new Set(this.#found.vms.map(({ id }) => id));
    for (const { state } of containers) {
      if (!isActive(state) || known.has(state.vmId)) continue;
      known.add(state.vmId);
      this.#expect(
        lostVm(state),
        this.#found.straysEnded.then(() => undefined),
      );
    }
    this.#releaseIdlePods();
    for (const container of containers) {
      const { state } = container;
      if (state.kind === 'exited' || state.kind === 'restarting') this.#policies.add(container);
      this.#recovered.set(container, this.#recover(container));
    }
    for (const container of containers) this.#engine.background.add(this.#start(container));
    await Promise.all([...this.#settled.values(), ...this.#recovered.values()]);
  }

  #expect(vm: ExpectedVm, answered: Promise<Vm | undefined>): void {
    const settled = answered
      .then((answer) => this.#takeOver(vm, answer))
      .catch((error: unknown) => log.error('VM could not be taken over', { vmId: vm.id, error }));
    this.#settled.set(vm.id, settled);
    this.#engine.adoptions.expect(vm, settled, recordedRuns(this.#engine, vm.id).length > 0);
  }

  /** Its containers are on it again, or it is known that they are not. */
  async #takeOver({ id, state }: ExpectedVm, vm: Vm | undefined): Promise<void> {
    if (vm !== undefined) {
      const guests = new Set(vm.agent.hello.containers.map((container) => container.id));
      const members = recordedRuns(this.#engine, id).filter(({ container }) => guests.has(container.id));
      // Without any its Pod has no running record: a start that was cut short, an exit before its end, or a removed container.
      const isOrphan = members.length === 0 && vm.state.kind === 'Associated';
      if (isOrphan) log.info('VM of no running container is ended', { vmId: id });
      if (isOrphan || !(await this.#adopt(vm, members))) await endVm(vm, { keepData: true });
    }
    if (state.kind === 'Associated') await this.#releasePodEndpoints(state.podId);
  }

  /** False: they can't be worked with, and are better ended. */
  async #adopt(vm: Vm, members: readonly RecordedRun[]): Promise<boolean> {
    if (members.length === 0) return true;
    try {
      await adoptPod(this.#engine, vm, members);
      for (const { container } of members) this.#adopted.add(container);
      return true;
    } catch (error) {
      log.error('containers could not be adopted', { vmId: vm.id, error });
      return false;
    }
  }

  /** Never rejects. */
  #recover(container: Container): Promise<void> {
    const recovering = this.#wasActive.has(container)
      ? this.#recoverActive(container)
      : container.operations.run(() => this.#recoverInactive(container));
    return recovering.catch((error: unknown) =>
      log.error('container could not be recovered', { containerId: container.id, error }),
    );
  }

  /** Its queue is not held while its VM is waited for: who wants to end it must get through. */
  async #recoverActive(container: Container): Promise<void> {
    const run = container.state;
    if (!isActive(run)) return;
    await container.operations.run(() => this.#clearCheckpoints(container, true));
    await this.#settled.get(run.vmId);
    await container.operations.run(async () => {
      const { state } = container;
      if (!isActive(state) || state.vmId !== run.vmId || this.#adopted.has(container)) return;
      const killed = this.#engine.adoptions.wasEnded(run.vmId);
      log.warn('container did not outlive the daemon', { containerId: container.id });
      this.#lose(container, state, killed);
      if (!killed) this.#policies.add(container);
      if (goes(container)) await removeStopped(this.#engine, container);
    });
  }

  #lose(container: Container, run: RunFacts, killed: boolean): void {
    const { hubs, waits } = this.#engine;
    const exitCode = killed ? killedExitCode : lostExitCode;
    void exitTransition(
      this.#engine,
      container,
      run,
      { exitCode, error: '', oomKilled: run.oomKilled },
      true,
    );
    hubs.of(container.id).endRun();
    waits.exited(container);
  }

  /** In its queue. */
  async #recoverInactive(container: Container): Promise<void> {
    // A start or an exit that was cut short may have left it in a VM, and an endpoint.
    await Promise.all(this.#holdersOf(container).flatMap(({ id }) => this.#settled.get(id) ?? []));
    await this.#clearCheckpoints(container, false);
    await releaseAllEndpoints(this.#engine, container.id);
    if (goes(container)) await removeStopped(this.#engine, container);
  }

  /** VMs that have its disk plugged, or were taken for it and have nothing else to run. */
  #holdersOf({ id, record }: Container): FoundVm[] {
    return this.#found.vms.filter(
      (vm) =>
        vm.disks.includes(writableDiskId(id)) ||
        (vm.state.kind === 'Associated' &&
          vm.state.podId === record.podId &&
          recordedRuns(this.#engine, vm.id).length === 0),
    );
  }

  async #clearCheckpoints(container: Container, isRunning: boolean): Promise<void> {
    await new RestoredDisk(this.#engine.disks.path(container.id)).recover(isRunning);
    await checkpointsOf(this.#engine, container, container.id, '').removeUnfinished();
  }

  /** Named Pods without a VM have no use for their endpoints; who starts one of their containers comes behind this. */
  #releaseIdlePods(): void {
    const { registry } = this.#engine;
    const podIds = new Set(registry.list().flatMap(({ record }) => namedPodIdOf(record) ?? []));
    const placed = new Set(
      this.#found.vms.flatMap(({ state }) => (state.kind === 'Associated' ? state.podId : [])),
    );
    for (const podId of podIds) {
      if (placed.has(podId)) continue;
      this.#engine.background.add(
        this.#engine.podGates.of(podId).run(() => this.#releasePodEndpoints(podId)),
      );
    }
  }

  /** Unless the Pod runs. Logs what fails. */
  async #releasePodEndpoints(podId: string): Promise<void> {
    if (this.#engine.pods.find(podId) !== undefined) return;
    await releaseAllEndpoints(this.#engine, podId);
  }

  /** By its restart policy, once it is known to have ended; whoever joins another comes after it. Never rejects. */
  #start(container: Container): Promise<void> {
    const begun = this.#starts.get(container);
    if (begun !== undefined) return begun;
    this.#starts.set(container, Promise.resolve()); // a circle of donors ends here
    const start = async (): Promise<void> => {
      await this.#recovered.get(container);
      if (!this.#policies.has(container)) return;
      await Promise.all(donorsOf(this.#engine, container.record).map((donor) => this.#start(donor)));
      await startByPolicy(this.#engine, container);
    };
    const started = start();
    this.#starts.set(container, started);
    return started;
  }
}

/** Of a record whose VM nobody has seen: it is gone when no stray is left. */
function lostVm({ vmId }: RunFacts): ExpectedVm {
  return {
    id: vmId,
    state: { kind: 'Idle' },
    hindrance: () => undefined,
    end: () => Promise.resolve(),
  };
}

/** Whether nothing is to be left of a container that does not run. */
function goes({ state, record }: Container): boolean {
  return (
    state.kind === 'removing' ||
    record.isBuildStep === true ||
    ((state.kind === 'exited' || state.kind === 'created') && record.hostConfig.AutoRemove)
  );
}

/** Counts its restarts anew. Resolves when it is started, or has failed to: then that is logged. */
function startByPolicy(engine: StartNeeds, container: Container): Promise<void> {
  return container.operations
    .run(async () => {
      const { record, state } = container;
      if (state.kind !== 'exited' && state.kind !== 'restarting') return;
      if (engine.registry.byId(container.id) === undefined) return;
      if (startsWithDaemon(record.hostConfig.RestartPolicy, { ...record, exitCode: state.exitCode })) {
        await runContainer(engine, container, { restartCount: 0, manuallyStopped: false });
      } else if (state.kind === 'restarting') engine.registry.transition(container, { kind: 'giveUp' });
    })
    .catch((error: unknown) =>
      log.error('container could not be started', { containerId: container.id, error }),
    );
}
