// Where a container that is to start belongs: on a VM of its own, or into the Pod of the containers whose namespaces it
// wants to share.

import { DaemonError, errorMessage, isDaemonError } from '../../../errors';
import { donorOf } from '../../../translate/container-to-pod';
import type { ContainerRecord } from '../../../semantics/containers/container-record';
import type { Container, ContainerRegistry } from '../../core/container-registry';
import { isActive } from '../../../semantics/containers/container-state';
import type { RunningPod } from '../../vms/running-pod';
import type { PodPlaces } from '../../vms/guest-access';

/** A Pod that runs already, and what of it the container shares. */
export interface Joining {
  pod: RunningPod;
  /** The container whose network it gets; undefined: it has a network namespace with nothing in it. */
  networkOf: Container | undefined;
}

/** Where the containers are found whose namespaces others want to share. */
export interface Donors {
  readonly registry: ContainerRegistry;
}

/**
 * The Pod that the modes `container:…` of network, IPC and PID name; undefined when there are none. Throws what dockerd's
 * start answers with, in its order.
 */
export function placeContainer(engine: Donors & PodPlaces, record: ContainerRecord): Joining | undefined {
  const { registry } = engine;
  const { NetworkMode, IpcMode, PidMode } = record.hostConfig;
  const network = donorOf(NetworkMode);
  const ipc = donorOf(IpcMode);
  const pid = donorOf(PidMode);
  const donors = [
    ...(network === undefined ? [] : [networkDonor(registry, record.id, network)]),
    ...(ipc === undefined ? [] : [ipcDonor(registry, ipc)]),
    ...(pid === undefined ? [] : [runningDonor(registry, pid)]),
  ];
  const [first, ...others] = donors;
  if (first === undefined) return undefined;
  const pod = engine.pods.of(first);
  if (pod === undefined) throw notRunning(first);
  if (others.some((other) => engine.pods.of(other) !== pod)) {
    throw new DaemonError(
      'Conflict',
      `container ${record.name} can't share namespaces with containers that run in different virtual machines: ` +
        [...new Set(donors.map(({ name }) => name))].join(', '),
    );
  }
  const alone = NetworkMode === 'none' || (record.config.NetworkDisabled ?? false);
  return { pod, networkOf: alone ? undefined : first };
}

/** Containers that this one can't start without. */
export function donorsOf({ registry }: Donors, record: ContainerRecord): Container[] {
  const { NetworkMode, IpcMode, PidMode } = record.hostConfig;
  return [NetworkMode, IpcMode, PidMode].flatMap((mode) => {
    const donor = donorOf(mode);
    const found = donor === undefined ? undefined : registry.byId(donor);
    return found === undefined ? [] : [found];
  });
}

/** The container at the end of a chain of `--network container:…`: whose files and endpoints they all have. */
export function networkOwner(registry: ContainerRegistry, container: Container): Container {
  const seen = new Set<string>();
  let owner = container;
  for (;;) {
    const next = donorOf(owner.record.hostConfig.NetworkMode);
    const found = next === undefined ? undefined : registry.find(next);
    if (found === undefined || seen.has(found.id)) return owner;
    seen.add(found.id);
    owner = found;
  }
}

function networkDonor(registry: ContainerRegistry, id: string, ref: string): Container {
  const donor = registry.get(ref);
  if (donor.id === id) throw new DaemonError('Internal', 'cannot join own network');
  if (donor.state.kind === 'restarting') throw restarting(ref);
  if (!isActive(donor.state)) {
    throw new DaemonError('Conflict', `cannot join network of a non running container: ${ref}`);
  }
  return donor;
}

function ipcDonor(registry: ContainerRegistry, ref: string): Container {
  const failed = `can't join IPC of container ${ref}: `;
  if (ref === '') throw new DaemonError('Internal', `${failed}invalid name or ID supplied: ""`);
  try {
    const donor = runningDonor(registry, ref);
    if (!['shareable', 'host'].includes(donor.record.hostConfig.IpcMode)) {
      throw new DaemonError(
        'Internal',
        'non-shareable IPC (hint: use IpcMode:shareable for the donor container)',
      );
    }
    return donor;
  } catch (error) {
    const code = isDaemonError(error, 'NotFound') ? 'NotFound' : 'Internal';
    throw new DaemonError(code, failed + errorMessage(error), { cause: error });
  }
}

function runningDonor(registry: ContainerRegistry, ref: string): Container {
  const donor = registry.get(ref);
  if (donor.state.kind === 'restarting') throw restarting(ref);
  if (!isActive(donor.state)) throw notRunning(donor);
  return donor;
}

function restarting(ref: string): DaemonError {
  return new DaemonError('Conflict', `Container ${ref} is restarting, wait until the container is running`);
}

/** As dockerd's start words it, which is not as `docker exec` has it. */
function notRunning({ id }: Container): DaemonError {
  return new DaemonError('Internal', `container ${id} is not running`);
}
