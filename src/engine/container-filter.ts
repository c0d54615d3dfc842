// The filters of `docker ps`.

import type { Filters } from '../api/v1.41/backend';
import { DaemonError } from '../errors';
import type { Container, ContainerRegistry } from './container-registry';
import { isActive } from './container-state';
import type { ContainerRecord } from './container-record';
import { containerStatus } from './container-status';
import { invalidFilter, matchLabels, matchPattern, matchValue, validateFilters } from './filters';
import { neverTimestamp } from './timestamp';

const acceptedFilters = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];
const states = ['paused', 'restarting', 'removing', 'running', 'dead', 'created', 'exited'];
const healthStates = ['starting', 'healthy', 'unhealthy', 'none'];

export interface ContainerFilterSources {
  registry: ContainerRegistry;
  /** Ids of the image of this reference and of those made from it; empty when there is none. */
  imageFamily(ref: string): ReadonlySet<string>;
  health(containerId: string): string;
}

export interface ContainerFilter {
  /** A filter by status lists stopped containers too. */
  impliesAll: boolean;
  matches(container: Container): boolean;
  /** Only those created before this one, and only those created after that one. */
  before: Container | undefined;
  since: Container | undefined;
}

type Predicate = (container: Container) => boolean;

/** Throws Docker's errors for filters and values that it refuses. */
export function containerFilter(filters: Filters, sources: ContainerFilterSources): ContainerFilter {
  validateFilters(filters, acceptedFilters);
  const isTask = filters.get('is-task') ?? [];
  if (isTask.length > 0 && !isTask.includes('true') && !isTask.includes('false')) {
    throw invalidFilter('is-task', `[${isTask.join(' ')}]`);
  }
  const predicates: Predicate[] = [
    // No container is a service's task here.
    () => isTask.length === 0 || isTask.includes('false'),
    nameAndId(filters, sources.registry),
    (container) => matchLabels(filters.get('label'), container.record.config.Labels),
    ...exited(filters.get('exited')),
    ...status(filters),
    ...health(filters, sources),
    ...whenAsked(filters.get('ancestor'), (refs) => {
      const images = new Set(refs.flatMap((ref) => [...sources.imageFamily(ref)]));
      return (container) => images.has(container.record.imageId);
    }),
    ...whenAsked(filters.get('volume'), (values) => {
      return ({ record }) =>
        record.mounts.some(
          (mount) => values.includes(mount.Destination) || values.includes(mount.Name ?? ''),
        );
    }),
    ...whenAsked(filters.get('network'), (values) => (container) => onNetwork(container.record, values)),
    ...ports(filters.get('publish'), 'publish', (record) =>
      Object.keys(record.hostConfig.PortBindings ?? {}),
    ),
    ...ports(filters.get('expose'), 'expose', (record) => Object.keys(record.config.ExposedPorts ?? {})),
  ];
  return {
    impliesAll: (filters.get('status') ?? []).length > 0,
    matches: (container) => predicates.every((predicate) => predicate(container)),
    before: reference(filters.get('before'), sources.registry),
    since: reference(filters.get('since'), sources.registry),
  };
}

function whenAsked(
  values: readonly string[] | undefined,
  make: (values: readonly string[]) => Predicate,
): Predicate[] {
  return values === undefined || values.length === 0 ? [] : [make(values)];
}

function nameAndId(filters: Filters, registry: ContainerRegistry): Predicate {
  // Docker looks ids up first: one that is the prefix of two containers finds none.
  const ids = filters.get('id') ?? [];
  const found = new Set(ids.map((id) => uniqueId(registry, id)));
  return ({ id, name }) =>
    (ids.length === 0 || found.has(id)) &&
    (matchPattern(filters, 'name', `/${name}`) || matchPattern(filters, 'name', name));
}

function uniqueId(registry: ContainerRegistry, prefix: string): string | undefined {
  if (!/^[0-9a-f]+$/.test(prefix)) return undefined;
  const matches = registry.list().filter((container) => container.id.startsWith(prefix));
  return matches.length === 1 ? matches[0]?.id : undefined;
}

function exited(values: readonly string[] | undefined): Predicate[] {
  return whenAsked(values, (texts) => {
    const codes = texts.map((text) => {
      if (/^[+-]?\d+$/.test(text)) return Number(text);
      throw new DaemonError('Internal', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
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

function ports(
  values: readonly string[] | undefined,
  filter: 'publish' | 'expose',
  portsOf: (record: ContainerRecord) => string[],
): Predicate[] {
  return whenAsked(values, (texts) => {
    const wanted = new Set(texts.flatMap((text) => parsePorts(text, filter)));
    return ({ record }) => portsOf(record).some((port) => wanted.has(port));
  });
}

/** `80`, `80/udp` or `80-90/tcp` as keys of a port map. */
function parsePorts(text: string, filter: string): string[] {
  const slash = text.indexOf('/');
  const protocol = slash < 0 ? 'tcp' : text.slice(slash + 1).toLowerCase();
  const [first = '', last = first] = (slash < 0 ? text : text.slice(0, slash)).split('-');
  const numbers = [first, last].map((part) => {
    const reason = !/^\d+$/.test(part) ? 'invalid syntax' : Number(part) > 65_535 ? 'value out of range' : '';
    if (reason === '') return Number(part);
    throw new DaemonError(
      'Internal',
      `error while looking up for ${filter} ${text}: strconv.ParseUint: parsing ${JSON.stringify(part)}: ${reason}`,
    );
  });
  const [from = 0, to = from] = numbers;
  if (to < from) {
    throw new DaemonError(
      'Internal',
      `error while looking up for ${filter} ${text}: Invalid range specified for the Port: ${first}-${last}`,
    );
  }
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol}`);
}

function reference(
  values: readonly string[] | undefined,
  registry: ContainerRegistry,
): Container | undefined {
  let found: Container | undefined;
  for (const value of values ?? []) {
    found = registry.find(value);
    if (found === undefined) throw new DaemonError('Internal', `no such container ${value}`);
  }
  return found;
}

/** Those that run, or all. */
export function isListed(container: Container, all: boolean): boolean {
  // Docker counts a container that waits for its restart as running.
  return all || isActive(container.state) || container.state.kind === 'restarting';
}
