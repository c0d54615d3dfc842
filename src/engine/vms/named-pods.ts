// Pods with a name: containers whose label says so share one VM, its network, IPC and host name, whoever starts first.
// Their endpoints are the Pod's: see pod-networks.ts.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import { wantedResources } from '../../translate/resources';
import type { ContainerRecord } from '../../semantics/containers/container-record';
import type { ContainerRegistry } from '../core/container-registry';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import type { Config } from '../../config';

/** Docker label that puts a container (a Compose service) into the Pod of this name. */
export const podLabel = 'caisson.pod';
/** `true`: the containers of the Pod see each other's processes. */
export const sharedPidLabel = 'caisson.pod.share-pid';

/** Host name of the Pod, where it is not its name. */
export const podHostnameLabel = 'caisson.pod.hostname';
/** Bytes and CPUs that the Pod's VM shall have at least. */
export const podMemoryLabel = 'caisson.pod.memory';
export const podCpusLabel = 'caisson.pod.cpus';
/** Name of the container in its Pod, and what it is there: `init` or `sidecar`. */
export const podContainerLabel = 'caisson.pod.container';
export const podRoleLabel = 'caisson.pod.role';

/** Name of the Pod that the container's label asks for. */
export function podNameOf({ config }: Pick<ContainerRecord, 'config'>): string | undefined {
  const name = config.Labels?.[podLabel];
  return name === undefined || name === '' ? undefined : name;
}

/** The same for every container of the Pod, and for every daemon. */
export function namedPodId(name: string): string {
  return createHash('sha256').update(`caisson.pod ${name}`).digest('hex');
}

/** Asked of every container whenever Pods are looked for. */
const podIds = new WeakMap<ContainerRecord['config'], string>();

/** Of its named Pod; undefined for a container with a Pod of its own. */
export function namedPodIdOf(record: Pick<ContainerRecord, 'config'>): string | undefined {
  const name = podNameOf(record);
  if (name === undefined) return undefined;
  const id = podIds.get(record.config) ?? namedPodId(name);
  podIds.set(record.config, id);
  return id;
}

/** What its containers have in common, by their labels; undefined for a container with a Pod of its own. */
export function namedPodOf({
  config,
}: Pick<ContainerRecord, 'config'>):
  { id: string; name: string; hostname: string; sharePid: boolean } | undefined {
  const name = podNameOf({ config });
  if (name === undefined) return undefined;
  const hostname = config.Labels?.[podHostnameLabel] ?? '';
  return {
    id: namedPodId(name),
    name,
    hostname: hostname === '' ? name : hostname,
    sharePid: config.Labels?.[sharedPidLabel] === 'true',
  };
}

/** The record with the Pod's host name, which all of its containers have. */
export function withPodHostname(record: ContainerRecord): ContainerRecord {
  const pod = namedPodOf(record);
  return pod === undefined ? record : { ...record, config: { ...record.config, Hostname: pod.hostname } };
}

/** What the VM of the Pod needs for all of its containers, be they started or not, and what their labels ask for. */
export function namedPodResources(
  engine: {
    readonly registry: Pick<ContainerRegistry, 'list'>;
    readonly config: Pick<Config, 'containerDefaults'>;
  },
  name: string,
): { memoryBytes?: number; cpus?: number } {
  let memoryBytes = 0;
  let cpus = 0;
  let leastMemory = 0;
  let leastCpus = 0;
  for (const { record } of engine.registry.list()) {
    if (podNameOf(record) !== name) continue;
    const wanted = wantedResources(withRunDefaults(record.hostConfig, engine.config.containerDefaults));
    memoryBytes += wanted.memoryBytes ?? 0;
    cpus += wanted.cpus ?? 0;
    leastMemory = Math.max(leastMemory, labelNumber(record, podMemoryLabel));
    leastCpus = Math.max(leastCpus, labelNumber(record, podCpusLabel));
  }
  memoryBytes = Math.max(memoryBytes, leastMemory);
  cpus = Math.max(cpus, leastCpus);
  return { ...(memoryBytes > 0 ? { memoryBytes } : {}), ...(cpus > 0 ? { cpus } : {}) };
}

function labelNumber({ config, name }: ContainerRecord, label: string): number {
  const text = config.Labels?.[label] ?? '0';
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new DaemonError('InvalidParameter', `container ${name}: label ${label}: "${text}" is no number`);
}
