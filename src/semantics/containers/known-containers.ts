// containers/: Docker's rules of containers, whatever runs them. Nothing here drives a VM or a Pod.
//
// What Docker's semantics ask of whoever keeps containers: the registry of this machine, or a cluster's records.

import { DaemonError } from '../../errors';
import type { ContainerRecord } from './container-record';
import type { ContainerState } from './container-state';

/** A container; the same object as long as it is there. Its record is replaced, never changed in place. */
export interface KnownContainer {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly record: ContainerRecord;
  readonly state: ContainerState;
}

/** The containers there are. */
export interface KnownContainers<Known extends KnownContainer = KnownContainer> {
  /** Newest first, as `docker ps` lists them. */
  list(): Known[];
  /** By full id. */
  byId(id: string): Known | undefined;
  /** By id, name (with or without slash) or unique id prefix; undefined when there is none. Throws Internal for an ambiguous prefix. */
  find(ref: string): Known | undefined;
  /** As `find`; throws NotFound, or InvalidParameter for ''. */
  get(ref: string): Known;
}

/** How a name is looked up; `parent/alias` is looked up as a link. */
export interface ContainerIndex<Known extends KnownContainer> {
  byId(id: string): Known | undefined;
  byName(name: string): Known | undefined;
  all(): Iterable<Known>;
}

/** Docker's order of a look-up: the id, the name, a link, a prefix of an id. Throws Internal for an ambiguous prefix. */
export function findContainer<Known extends KnownContainer>(
  index: ContainerIndex<Known>,
  ref: string,
): Known | undefined {
  const exact = index.byId(ref) ?? findByName(index, ref.startsWith('/') ? ref.slice(1) : ref);
  if (exact !== undefined || ref === '') return exact;
  const matches = [...index.all()].filter(({ id }) => id.startsWith(ref));
  if (matches.length > 1) {
    throw new DaemonError('Internal', `Multiple IDs found with provided prefix: ${ref}`);
  }
  return matches[0];
}

function findByName<Known extends KnownContainer>(
  index: ContainerIndex<Known>,
  name: string,
): Known | undefined {
  const named = index.byName(name);
  const slash = name.indexOf('/');
  if (named !== undefined || slash < 0) return named;
  const target = index.byName(name.slice(0, slash))?.record.links?.[name.slice(slash + 1)];
  return target === undefined ? undefined : index.byId(target.containerId);
}

/** As `findContainer`; throws NotFound, or InvalidParameter for ''. */
export function getContainer<Known extends KnownContainer>(index: ContainerIndex<Known>, ref: string): Known {
  if (ref === '') throw new DaemonError('InvalidParameter', 'invalid name or ID supplied: ""');
  const container = findContainer(index, ref);
  if (container === undefined) throw new DaemonError('NotFound', `No such container: ${ref}`);
  return container;
}

/** Docker's refusal of a name that `holder` has. */
export function nameInUse(name: string, holder: string): DaemonError {
  return new DaemonError(
    'Conflict',
    `Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  );
}

/** Newest first. */
export function compareCreated(a: ContainerRecord, b: ContainerRecord): number {
  // Fractions have no fixed length, so compare the second first and then the fraction as text (zeros are trimmed).
  const bySecond = a.createdAt.slice(0, 19).localeCompare(b.createdAt.slice(0, 19));
  if (bySecond !== 0) return bySecond;
  const fraction = (text: string): string => text.slice(20, -1).padEnd(9, '0');
  return fraction(a.createdAt) < fraction(b.createdAt) ? -1 : 1;
}
