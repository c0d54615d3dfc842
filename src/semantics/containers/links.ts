// Links between containers on the default bridge (`--link`): names in /etc/hosts, variables, and `parent/alias` as a
// further name of the linked container. On other networks a link is only a name, and the name service knows it.

import type { HostConfig } from '../../docker/types';
import { DaemonError } from '../../errors';
import { donorOf } from '../../translate/container-to-pod';
import { linkEnvironment } from '../../translate/link-environment';
import type { ContainerRecord, LinkRecord } from './container-record';
import type { KnownContainer, KnownContainers } from './known-containers';
import { isActive } from './container-state';

const defaultNetwork = 'bridge';

/** `name:alias`, `name`, or what inspect shows of a link: `/name:/parent/alias`. */
export function parseLink(text: string): { ref: string; alias: string } {
  const [ref = '', alias] = text.split(':');
  if (alias === undefined) return { ref, alias: ref.replace(/^\//, '') };
  if (!ref.startsWith('/')) return { ref, alias };
  return { ref: ref.slice(1), alias: alias.slice(alias.lastIndexOf('/') + 1) };
}

/** By alias. Throws InvalidParameter for a container that isn't there. */
export function resolveLinks(
  registry: KnownContainers,
  hostConfig: HostConfig,
): Record<string, LinkRecord> | undefined {
  const mode = hostConfig.NetworkMode ?? '';
  if (!['', 'default', defaultNetwork].includes(mode)) return undefined;
  const links: Record<string, LinkRecord> = {};
  for (const link of hostConfig.Links ?? []) {
    const { ref, alias } = parseLink(link);
    const child = networkOf(registry, ref);
    if (child.record.hostConfig.NetworkMode === 'host') {
      throw new DaemonError(
        'InvalidParameter',
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    }
    links[alias] = { containerId: child.id, name: child.name };
  }
  return Object.keys(links).length === 0 ? undefined : links;
}

/** The container whose network `ref` has: itself, or the end of a chain of `--network container:…`. */
function networkOf(registry: KnownContainers, ref: string): KnownContainer {
  const seen = new Set<string>();
  for (let next: string | undefined = ref; ;) {
    const container = registry.find(next);
    if (container === undefined) {
      throw new DaemonError(
        'InvalidParameter',
        `could not get container for ${next}: No such container: ${next}`,
      );
    }
    next = donorOf(container.record.hostConfig.NetworkMode);
    if (next === undefined || seen.has(container.id)) return container;
    seen.add(container.id);
  }
}

/** `HostConfig.Links` of inspect. */
export function inspectedLinks(
  registry: Pick<KnownContainers, 'byId'>,
  record: ContainerRecord,
): string[] | null {
  const links = Object.entries(record.links ?? {});
  if (links.length === 0) return null;
  return links.map(
    ([alias, { containerId, name }]) =>
      `/${registry.byId(containerId)?.name ?? name}:/${record.name}/${alias}`,
  );
}

/** `parent/alias` names by the id of the container that has them. */
export function linkNames(registry: KnownContainers): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { record } of registry.list()) {
    for (const [alias, { containerId }] of Object.entries(record.links ?? {})) {
      names.set(containerId, [...(names.get(containerId) ?? []), `${record.name}/${alias}`].sort());
    }
  }
  return names;
}

/** The running containers that a starting one is linked to. Throws Docker's errors for those that cannot be linked. */
function linkedContainers(
  registry: KnownContainers,
  record: ContainerRecord,
): { alias: string; child: KnownContainer; address: string }[] {
  if (record.networks[defaultNetwork] === undefined) return [];
  return Object.entries(record.links ?? {}).map(([alias, { containerId, name }]) => {
    const child = registry.byId(containerId);
    if (child !== undefined && child.record.networks[defaultNetwork] === undefined) {
      throw new DaemonError(
        'Internal',
        `Cannot link to /${child.name}, as it does not belong to the default network`,
      );
    }
    if (child === undefined || !isActive(child.state)) {
      throw new DaemonError(
        'Internal',
        `Cannot link to a non running container: /${child?.name ?? name} AS /${record.name}/${alias}`,
      );
    }
    return { alias, child, address: child.record.networks[defaultNetwork]?.endpoint?.ipv4Address ?? '' };
  });
}

/** The variables of all links. Throws as `linkedContainers`. */
export function linkVariables(registry: KnownContainers, record: ContainerRecord): string[] {
  return linkedContainers(registry, record).flatMap(({ alias, child, address }) =>
    linkEnvironment({
      name: `/${record.name}/${alias}`,
      address,
      exposedPorts: Object.keys(child.record.config.ExposedPorts ?? {}),
      env: child.record.config.Env ?? [],
    }),
  );
}

/** Lines of /etc/hosts for those links whose container runs. */
export function linkHosts(
  registry: KnownContainers,
  record: ContainerRecord,
): { address: string; names: string }[] {
  return Object.entries(record.links ?? {}).flatMap(([alias, { containerId }]) => {
    const child = registry.byId(containerId);
    const address = child?.record.networks[defaultNetwork]?.endpoint?.ipv4Address ?? '';
    if (child === undefined || address === '') return [];
    const names = [alias, child.record.config.Hostname, ...(alias === child.name ? [] : [child.name])];
    return [{ address, names: names.join(' ') }];
  });
}

/** Running containers that are linked to this one. */
export function linkingContainers<Known extends KnownContainer>(
  registry: KnownContainers<Known>,
  childId: string,
): Known[] {
  return registry
    .list()
    .filter(
      ({ state, record }) =>
        isActive(state) &&
        Object.values(record.links ?? {}).some(({ containerId }) => containerId === childId),
    );
}

/** ContainerDelete with `link`: the container that has it, and the links that are left to it. */
export function removeLink<Known extends KnownContainer>(
  registry: KnownContainers<Known>,
  ref: string,
): { parent: Known; links: Record<string, LinkRecord> } {
  const [parentName = '', alias = ''] = ref.replace(/^\//, '').split('/');
  if (registry.find(ref) === undefined) throw new DaemonError('NotFound', `No such container: ${ref}`);
  if (alias === '') {
    throw new DaemonError('Internal', 'Conflict, cannot remove the default link name of the container');
  }
  const parent = registry.get(parentName);
  const links = Object.fromEntries(
    Object.entries(parent.record.links ?? {}).filter(([known]) => known !== alias),
  );
  return { parent, links };
}
