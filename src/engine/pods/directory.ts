// Every Pod there is: those with a record, those that are a label of Docker containers, and Docker containers that are a Pod
// of their own.

import { DaemonError } from '../../errors';
import type { PodContainerRole } from '../../api/v1/types';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { namedPodId, namedPodIdOf, podContainerLabel, podNameOf, podRoleLabel } from '../vms/named-pods';
import type { PodRecord, PodRecords } from '../core/pod-record';

export interface PodMember {
  container: Container;
  /** In the Pod. */
  name: string;
  role: PodContainerRole;
}

/** A Pod as it is at this moment. */
export interface PodHandle {
  id: string;
  name: string;
  kind: 'pod' | 'label' | 'container';
  createdAt: string;
  labels: Record<string, string>;
  record?: PodRecord;
  /** In the order of their start. */
  members: PodMember[];
}

export class PodDirectory {
  readonly #registry: ContainerRegistry;
  readonly #records: PodRecords;

  constructor(registry: ContainerRegistry, records: PodRecords) {
    this.#registry = registry;
    this.#records = records;
  }

  /** Newest first. */
  list(): PodHandle[] {
    const alone: Container[] = [];
    const named = new Map<string, Container[]>(this.#records.list().map(({ id }) => [id, []]));
    for (const container of this.#registry.list()) {
      const id = namedPodIdOf(container.record);
      if (id === undefined) alone.push(container);
      else named.set(id, [...(named.get(id) ?? []), container]);
    }
    const pods = [...named].flatMap(([id, members]) => this.#named(id, members) ?? []);
    return [...pods, ...alone.map(ofContainer)].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  /** By name, id or unambiguous prefix. Throws NotFound, and Conflict for a prefix of several. */
  find(ref: string): PodHandle {
    const exact = this.byId(namedPodId(ref)) ?? this.byId(ref);
    if (exact !== undefined) return exact;
    const matches =
      ref === '' ? [] : this.list().filter(({ id, name }) => name === ref || id.startsWith(ref));
    const [first, second] = [...matches].sort((a, b) => Number(b.name === ref) - Number(a.name === ref));
    if (first !== undefined && (first.name === ref || second === undefined)) return first;
    if (first !== undefined) {
      throw new DaemonError('Conflict', `several Pods have an id that begins with ${ref}`);
    }
    const container = this.#registry.find(ref);
    const pod = container === undefined ? undefined : podNameOf(container.record);
    throw new DaemonError(
      'NotFound',
      `No such Pod: ${ref}${pod === undefined ? '' : ` (the container of this name belongs to the Pod ${pod})`}`,
    );
  }

  /** By the whole id. */
  byId(id: string): PodHandle | undefined {
    const members = this.#registry.list().filter((container) => namedPodIdOf(container.record) === id);
    const named = this.#named(id, members);
    if (named !== undefined) return named;
    const container = this.#registry.byId(id);
    return container === undefined || podNameOf(container.record) !== undefined
      ? undefined
      : ofContainer(container);
  }

  /** Undefined: there is none of this id that has a record or a label. `members`: newest first. */
  #named(id: string, members: readonly Container[]): PodHandle | undefined {
    const record = this.#records.get(id);
    if (record !== undefined) return ofRecord(record, members);
    const [newest] = members;
    if (newest === undefined) return undefined;
    return {
      id,
      name: podNameOf(newest.record) ?? '',
      kind: 'label',
      createdAt: members.at(-1)?.record.createdAt ?? '',
      labels: {},
      members: [...members].reverse().map(ofLabel),
    };
  }
}

function ofRecord(record: PodRecord, containers: readonly Container[]): PodHandle {
  const own = record.containers.flatMap(({ id, name, role }): PodMember[] => {
    const container = containers.find((other) => other.id === id);
    return container === undefined ? [] : [{ container, name, role }];
  });
  const known = new Set(own.map(({ container }) => container));
  // Those that `docker run --label` has added come after the template's.
  const added = containers.filter((container) => !known.has(container)).reverse();
  return {
    id: record.id,
    name: record.name,
    kind: 'pod',
    createdAt: record.createdAt,
    labels: record.template.labels ?? {},
    record,
    members: [...own, ...added.map(ofLabel)],
  };
}

function ofLabel(container: Container): PodMember {
  const labels = container.record.config.Labels ?? {};
  const role = labels[podRoleLabel];
  return {
    container,
    name: labels[podContainerLabel] ?? container.name,
    role: role === 'init' || role === 'sidecar' ? role : 'main',
  };
}

function ofContainer(container: Container): PodHandle {
  const { id, name, createdAt, config } = container.record;
  return {
    id,
    name,
    kind: 'container',
    createdAt,
    labels: config.Labels ?? {},
    members: [{ container, name, role: 'main' }],
  };
}
