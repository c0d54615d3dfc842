// A Pod and a VM as /v1 shows them.

import { DaemonError } from '../../errors';
import type {
  PodContainerStatus,
  PodDetail,
  PodInspect,
  PodSummary,
  VmInspect,
  VmSummary,
} from '../../api/v1/types';
import type { UnansweredVm, Vm, VmPool } from '../../vm/contract/vm';
import { recordedEndpoints } from '../networks/container-network';
import { isActive } from '../../semantics/containers/container-state';
import type { PodDirectory, PodHandle, PodMember } from './directory';
import type { Pods } from '../vms/pods';

/** Where the Pods that run, and their VMs, are looked up. */
export interface RunningPlaces {
  readonly pods: Pick<Pods, 'find'>;
  readonly vms: Pick<VmPool, 'find'>;
}

/** What the lifecycles know of a Pod beyond its containers. */
export type PodActivity = 'Starting' | 'Stopping' | undefined;

/** Whether a container of it runs, or will run again by its policy. */
export function isAlive({ container: { state } }: PodMember): boolean {
  return isActive(state) || state.kind === 'restarting';
}

export function podSummary(
  engine: Pick<RunningPlaces, 'pods'>,
  pod: PodHandle,
  activity: PodActivity,
): PodSummary {
  const vmId = vmOf(engine, pod);
  const runs = vmId !== undefined || activity !== undefined;
  return {
    id: pod.id,
    name: pod.name,
    kind: pod.kind,
    createdAt: pod.createdAt,
    state: runs ? 'Running' : 'Created',
    detail: activity ?? detailOf(pod, runs),
    ...(vmId === undefined ? {} : { vmId }),
    labels: pod.labels,
    containers: pod.members.map(containerStatus),
    addresses: addressesOf(engine, pod),
  };
}

export function podInspect(engine: RunningPlaces, pod: PodHandle, activity: PodActivity): PodInspect {
  const summary = podSummary(engine, pod, activity);
  const vm = summary.vmId === undefined ? undefined : engine.vms.find(summary.vmId);
  return {
    ...summary,
    ...(pod.record === undefined ? {} : { template: pod.record.template }),
    ...(vm === undefined ? {} : { resources: { ...vm.resources } }),
  };
}

/** The VM that the Pod is on: also one of another's containers, whose namespaces it has joined. */
export function vmOf(engine: Pick<RunningPlaces, 'pods'>, pod: PodHandle): string | undefined {
  const place = pod.kind === 'container' ? undefined : engine.pods.find(pod.id)?.vm.id;
  if (place !== undefined) return place;
  return pod.members.flatMap(({ container: { state } }) => (isActive(state) ? [state.vmId] : []))[0];
}

function detailOf(pod: PodHandle, runs: boolean): PodDetail {
  const states = pod.members.filter(({ role }) => role === 'main').map(({ container }) => container.state);
  if (runs) {
    const active = states.filter(isActive);
    return active.length > 0 && active.every(({ kind }) => kind === 'paused') ? 'Paused' : '';
  }
  const ended = states.filter((state) => !isActive(state) && state.kind !== 'created');
  if (states.some((state) => !isActive(state) && (state.exitCode !== 0 || state.error !== ''))) {
    return 'Failed';
  }
  return states.length > 0 && ended.length === states.length ? 'Succeeded' : '';
}

function containerStatus({ container, name, role }: PodMember): PodContainerStatus {
  const { record, state } = container;
  const ended = isActive(state) ? undefined : state;
  return {
    id: record.id,
    name,
    dockerName: record.name,
    image: record.config.Image,
    role,
    status: state.kind,
    exitCode: ended?.exitCode ?? 0,
    restartCount: record.restartCount,
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    error: ended?.error ?? '',
  };
}

function addressesOf(engine: Pick<RunningPlaces, 'pods'>, pod: PodHandle): PodSummary['addresses'] {
  const attached = engine.pods.find(pod.id)?.endpoints ?? ([] as ReturnType<typeof recordedEndpoints>);
  const all = [...attached, ...pod.members.flatMap(({ container }) => recordedEndpoints(container.record))];
  return Object.fromEntries(
    all.map(({ networkName, endpoint: { ipv4Address, ipv6Address, macAddress } }) => [
      networkName,
      { ipv4Address, ipv6Address, macAddress },
    ]),
  );
}

/** Throws NotFound, Unavailable for one that an earlier daemon has left and that has not answered, Conflict for a prefix of several. */
export function findVm(pool: Pick<VmPool, 'list' | 'unanswered'>, ref: string): Vm {
  const matches = ref === '' ? [] : pool.list().filter(({ id }) => id.startsWith(ref));
  const exact = matches.find(({ id }) => id === ref);
  const [first, second] = exact === undefined ? matches : [exact];
  const awaited = ref === '' ? undefined : pool.unanswered.find(({ id }) => id.startsWith(ref));
  if (first === undefined && awaited !== undefined) {
    throw new DaemonError(
      'Unavailable',
      `VM ${awaited.id} is of an earlier daemon, and has not answered this one yet: try again, or end its containers with docker kill`,
    );
  }
  if (first === undefined) throw new DaemonError('NotFound', `No such VM: ${ref}`);
  if (second !== undefined)
    throw new DaemonError('Conflict', `several VMs have an id that begins with ${ref}`);
  return first;
}

export function vmSummary(
  directory: PodDirectory,
  vm: Pick<Vm, 'id' | 'state' | 'pid' | 'resources' | 'used' | 'held'>,
): VmSummary {
  const podId = vm.state.kind === 'Associated' ? vm.state.podId : undefined;
  const podName = podId === undefined ? undefined : directory.byId(podId)?.name;
  return {
    id: vm.id,
    state: vm.state.kind,
    ...(podId === undefined ? {} : { podId }),
    ...(podName === undefined ? {} : { podName }),
    purpose: podId !== undefined ? 'pod' : vm.held ? 'kept' : 'pool',
    used: vm.used,
    ...vm.resources,
    pid: vm.pid,
  };
}

/** One of an earlier daemon that has not answered this one: what its record says. Undefined where its QEMU is gone. */
export function unansweredSummary(directory: PodDirectory, vm: UnansweredVm): VmSummary | undefined {
  return vm.running && { ...vmSummary(directory, { ...vm, ...vm.running }), unanswered: true };
}

export function vmInspect(directory: PodDirectory, vm: Vm): VmInspect {
  return {
    ...vmSummary(directory, vm),
    disks: [...vm.pluggedDisks().keys()],
    nics: vm.nics.map(({ index, tapName }) => ({ index, tap: tapName })),
  };
}
