// The filters of `docker ps`.

import type { Filters } from '../../api/v1.41/backend';
import { containerListFilters } from '../../docker/container';
import { DaemonError } from '../../errors';
import { goQuote } from '../../go/quote';
import { portsSummary } from './endpoints';
import type { KnownContainer, KnownContainers } from '../containers/known-containers';
import { isActive } from '../containers/container-state';
import type { ContainerRecord } from '../containers/container-record';
import { containerStatus } from './status';
import {
  booleanFilter,
  invalidFilter,
  matchLabels,
  matchPattern,
  matchValue,
  validateFilters,
} from '../filters/filters';
import { neverTimestamp } from '../../go/timestamp';

const states = ['paused', 'restarting', 'removing', 'running', 'dead', 'created', 'exited'];
const healthStates = ['starting', 'healthy', 'unhealthy', 'none'];

export interface ContainerFilterSources {
  registry: KnownContainers;
  /** Ids of the image of this reference and of those made from it; empty when there is none. */
  imageFamily(ref: string): ReadonlySet<string>;
  health(containerId: string): string;
}

export interface ContainerFilter {
  /** A filter by status lists stopped containers too. */
  impliesAll: boolean;
  matches(container: KnownContainer): boolean;
  /** Only those created before this one, and only those created after that one. */
  before: KnownContainer | undefined;
  since: KnownContainer | undefined;
}

type Predicate = (container: KnownContainer) => boolean;

/** Throws Docker's errors for filters and values that it refuses. */
export function containerFilter(filters: Filters, sources: ContainerFilterSources): ContainerFilter {
  validateFilters(filters, containerListFilters);
  const isTask = booleanFilter(filters, 'is-task');
  const predicates: Predicate[] = [
    // No container is a service's task here.
    () => isTask !== true,
    nameAndId(filters, sources.registry),
    (container) => matchLabels(filters.get('label'), container.record.config.Labels),
    ...exited(filters.get('exited')),
    ...status(filters),
    ...health(filters, sources),
    ...whenNamed(filters.get('ancestor'), (refs) => {
      const images = new Set(refs.flatMap((ref) => [...sources.imageFamily(ref)]));
      return (container) => images.has(container.record.imageId);
    }),
    ...whenNamed(filters.get('volume'), (values) => {
      const named = new Set(values);
      // a bind goes by its path on the host
      return ({ record }) =>
        record.mounts.some(
          ({ Destination, Name = '', Source }) =>
            named.has(Destination) || named.has(Name === '' ? Source : Name),
        );
    }),
    ...whenNamed(filters.get('network'), (values) => (container) => onNetwork(container.record, values)),
    ...ports(filters),
  ];
  return {
    impliesAll: (filters.get('status') ?? []).length > 0,
    matches: (container) => predicates.every((predicate) => predicate(container)),
    before: reference(filters.get('before'), sources.registry),
    since: reference(filters.get('since'), sources.registry),
  };
}

/** Without a value nothing matches. */
function whenNamed(
  values: readonly string[] | undefined,
  make: (values: readonly string[]) => Predicate,
): Predicate[] {
  return values === undefined ? [] : [make(values)];
}

/** Without a value everything matches. */
function whenAsked(
  values: readonly string[] | undefined,
  make: (values: readonly string[]) => Predicate,
): Predicate[] {
  return values === undefined || values.length === 0 ? [] : [make(values)];
}

function nameAndId(filters: Filters, registry: KnownContainers): Predicate {
  // Docker looks ids up first: one that is the prefix of two containers finds none.
  const ids = filters.get('id') ?? [];
  const found = new Set(ids.map((id) => uniqueId(registry, id)));
  return ({ id, name }) =>
    (ids.length === 0 || found.has(id)) &&
    (matchPattern(filters, 'name', `/${name}`) || matchPattern(filters, 'name', name));
}

function uniqueId(registry: KnownContainers, prefix: string): string | undefined {
  if (!/^[0-9a-f]+$/.test(prefix)) return undefined;
  const matches = registry.list().filter((container) => container.id.startsWith(prefix));
  return matches.length === 1 ? matches[0]?.id : undefined;
}

function exited(values: readonly string[] | undefined): Predicate[] {
  return whenAsked(values, (texts) => {
    const codes = texts.map((text) => {
      if (/^[+-]?\d+$/.test(text)) return Number(text);
      throw new DaemonError('Internal', `strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`);
    });
    return ({ state }) =>
      'exitCode' in state &&
      state.kind !== 'restarting' &&
      state.startedAt !== neverTimestamp &&
      codes.includes(state.exitCode);
  });
}

function status(filters: Filters): Predicate[] {
  for (const value of filters.get('status') ?? []) {
    if (!states.includes(value)) throw invalidFilter('status', value);
  }
  return [({ state }) => matchValue(filters, 'status', containerStatus(state))];
}

function health(filters: Filters, sources: ContainerFilterSources): Predicate[] {
  for (const value of filters.get('health') ?? []) {
    if (!healthStates.includes(value)) {
      throw new DaemonError('InvalidParameter', `Unrecognised filter value for health: ${value}`);
    }
  }
  return whenAsked(
    filters.get('health'),
    (values) =>
      ({ id }) =>
        values.includes(sources.health(id)),
  );
}

function onNetwork(record: ContainerRecord, values: readonly string[]): boolean {
  return Object.entries(record.networks).some(([name, { networkId }]) =>
    values.some((value) => value === name || networkId.startsWith(value)),
  );
}

/** Published on one of the wanted ports of the host, or with one of the wanted ports of its own. */
function ports(filters: Filters): Predicate[] {
  const published = portSet(filters, 'publish');
  const exposed = portSet(filters, 'expose');
  if (published.size === 0 && exposed.size === 0) return [];
  return [
    ({ record }) =>
      portsSummary(record).some(
        ({ PublicPort, PrivatePort, Type }) =>
          published.has(`${PublicPort ?? 0}/${Type}`) || exposed.has(`${PrivatePort}/${Type}`),
      ),
  ];
}

function portSet(filters: Filters, filter: 'publish' | 'expose'): ReadonlySet<string> {
  return new Set((filters.get(filter) ?? []).flatMap((text) => parsePorts(text, filter)));
}

/** `80`, `80/udp` or `80-90/tcp` as keys of a port map. */
function parsePorts(text: string, filter: string): string[] {
  if (text.includes(':')) {
    throw new DaemonError('Internal', `filter for '${filter}' should not contain ':': ${text}`);
  }
  const failed = (why: string): DaemonError =>
    new DaemonError('Internal', `error while looking up for ${filter} ${text}: ${why}`);
  const [range = '', protocol = ''] = text.split('/');
  if (range === '') throw failed('Empty string specified for ports.');
  const [first = '', last = first] = range.split('-');
  const [from = 0, to = from] = [first, last].map((part) => {
    const reason = !/^\d+$/.test(part) ? 'invalid syntax' : Number(part) > 65_535 ? 'value out of range' : '';
    if (reason === '') return Number(part);
    throw failed(`strconv.ParseUint: parsing ${goQuote(part)}: ${reason}`);
  });
  if (to < from) throw failed(`Invalid range specified for the Port: ${range}`);
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol || 'tcp'}`);
}

function reference(
  values: readonly string[] | undefined,
  registry: KnownContainers,
): KnownContainer | undefined {
  let found: KnownContainer | undefined;
  for (const value of values ?? []) {
    found = registry.find(value);
    if (found === undefined) throw new DaemonError('Internal', `no such container ${value}`);
  }
  return found;
}

/** Those that run, or all. */
export function isListed(container: KnownContainer, all: boolean): boolean {
  // Docker counts a container that waits for its restart as running.
  return all || isActive(container.state) || container.state.kind === 'restarting';
}
