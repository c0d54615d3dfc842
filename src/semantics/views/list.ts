// views/: what clients are shown of containers: list, inspect, statistics, processes.
//
// `docker ps`. Tools ask for it around everything they do, so what only changes with the record is made once for it.

import type { Filters } from '../../api/v1.41/backend';
import type { ContainerSummary } from '../../docker/types';
import { networksSummary, portsSummary } from './endpoints';
import { containerFilter, isListed } from './filter';
import { linkNames } from '../containers/links';
import { slashedName, type ContainerRecord } from '../containers/container-record';
import type { KnownContainer, KnownContainers } from '../containers/known-containers';
import type { HealthSource } from '../containers/health';
import { containerStatus, statusText } from './status';

export interface ContainerListOptions {
  all: boolean;
  /** 0 or less: no limit. A limit lists stopped containers too. */
  limit: number;
  size: boolean;
  filters: Filters;
}

type StaticSummary = Omit<ContainerSummary, 'Status' | 'Image' | 'SizeRw' | 'SizeRootFs'>;

/** What a container takes on disk; its root with the image's layers. */
export interface ContainerSizes {
  SizeRw: number;
  SizeRootFs: number;
}

/** What names of images mean now, and which were made from which. */
export interface ListedImages {
  find(ref: string): { id: string } | undefined;
  list(): { id: string; parentId: string }[];
}

export interface ListSources<Known extends KnownContainer> {
  registry: KnownContainers<Known>;
  images: ListedImages;
  health: HealthSource;
  sizes: (container: Known) => Promise<ContainerSizes>;
}

export class ContainerList<Known extends KnownContainer = KnownContainer> {
  readonly #registry: KnownContainers<Known>;
  readonly #images: ListedImages;
  readonly #sizes: ListSources<Known>['sizes'];
  readonly #health: HealthSource;
  /** Records are replaced, never changed, so an entry is right as long as its key lives. */
  readonly #summaries = new WeakMap<ContainerRecord, StaticSummary>();

  constructor({ registry, images, health, sizes }: ListSources<Known>) {
    this.#registry = registry;
    this.#images = images;
    this.#sizes = sizes;
    this.#health = health;
  }

  /** Newest first. Throws Docker's errors for filters it refuses. */
  async list(options: ContainerListOptions): Promise<ContainerSummary[]> {
    const containers = this.#select(options);
    const nowMs = Date.now();
    const imageNames = new Map<string, string>();
    const links = linkNames(this.#registry);
    if (!options.size) {
      return containers.map((container) => this.#summarize(container, imageNames, links, nowMs));
    }
    return Promise.all(
      containers.map(async (container) => ({
        ...this.#summarize(container, imageNames, links, nowMs),
        ...(await this.#writtenSizes(container)),
      })),
    );
  }

  /** Sizes that are 0 are left out, as Docker does. */
  async #writtenSizes(container: Known): Promise<Partial<ContainerSizes>> {
    const { SizeRw, SizeRootFs } = await this.#sizes(container);
    return { ...(SizeRw === 0 ? {} : { SizeRw }), ...(SizeRootFs === 0 ? {} : { SizeRootFs }) };
  }

  #select({ all, limit, filters }: ContainerListOptions): Known[] {
    const filter = containerFilter(filters, {
      registry: this.#registry,
      imageFamily: (ref) => this.#imageFamily(ref),
      health: (id) => this.#health.health(id)?.Status ?? 'none',
    });
    const showAll = all || limit > 0 || filter.impliesAll;
    const selected: Known[] = [];
    let passedBefore = filter.before === undefined;
    for (const container of this.#registry.list()) {
      if (!passedBefore) {
        passedBefore = container === filter.before;
        continue;
      }
      if (container === filter.since) break;
      if (limit > 0 && selected.length === limit) break;
      if (isListed(container, showAll) && filter.matches(container)) selected.push(container);
    }
    return selected;
  }

  #summarize(
    { record }: KnownContainer,
    imageNames: Map<string, string>,
    links: ReadonlyMap<string, string[]>,
    nowMs: number,
  ): ContainerSummary {
    let summary = this.#summaries.get(record);
    if (summary === undefined) {
      summary = staticSummary(record);
      this.#summaries.set(record, summary);
    }
    const { Id, Names, ...rest } = summary;
    const { Labels, State, HostConfig, NetworkSettings, Mounts, ...middle } = rest;
    return {
      Id,
      Names: [...Names, ...(links.get(Id) ?? []).map((name) => `/${name}`)],
      Image: this.#imageName(record, imageNames),
      ...middle,
      Labels,
      State,
      Status: statusText(record.state, this.#health.health(record.id), nowMs),
      HostConfig,
      NetworkSettings,
      Mounts,
    };
  }

  /** The reference the client used, as long as it still is that image; then the id. */
  #imageName(record: ContainerRecord, names: Map<string, string>): string {
    const reference = record.config.Image;
    if (reference === record.imageId) return reference;
    const key = `${reference}\n${record.imageId}`;
    let name = names.get(key);
    if (name === undefined) {
      name = this.#findImage(reference) === record.imageId ? reference : record.imageId;
      names.set(key, name);
    }
    return name;
  }

  #findImage(reference: string): string | undefined {
    try {
      return this.#images.find(reference)?.id;
    } catch {
      // An id prefix that has become ambiguous.
      return undefined;
    }
  }

  #imageFamily(ref: string): ReadonlySet<string> {
    const family = new Set<string>();
    const root = this.#findImage(ref);
    if (root === undefined) return family;
    family.add(root);
    const images = this.#images.list();
    for (let size = 0; size !== family.size;) {
      size = family.size;
      for (const image of images) if (family.has(image.parentId)) family.add(image.id);
    }
    return family;
  }
}

function staticSummary(record: ContainerRecord): StaticSummary {
  return {
    Id: record.id,
    Names: [slashedName(record)],
    ImageID: record.imageId,
    Command: commandText(record),
    Created: Math.floor(Date.parse(record.createdAt) / 1000),
    Ports: portsSummary(record),
    Labels: record.config.Labels ?? {},
    State: containerStatus(record.state),
    HostConfig: { NetworkMode: record.hostConfig.NetworkMode },
    NetworkSettings: { Networks: networksSummary(record) },
    Mounts: record.mounts,
  };
}

/** Docker quotes arguments that have a space, and nothing else. */
function commandText({ path, args }: ContainerRecord): string {
  return [path, ...args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ');
}
