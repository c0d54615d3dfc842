// Which image a step already has: a child of the one before whose container had the same configuration (as dockerd
// compares them), or the same step of an image named by --cache-from.

import type { Image } from '../storage/contract/image';
import type { ImageConfig, ImageRunConfig } from '../docker/image-config';
import type { BuildHost, RunConfig } from './host';

export class BuildCache {
  readonly #host: BuildHost;
  #sources: Image[];
  readonly #givenSources: readonly Image[];
  readonly #useLocal: boolean;
  readonly #disabled: boolean;
  /** After the first miss every further step of the stage is a miss. */
  #missed = false;

  constructor(host: BuildHost, options: { noCache: boolean; cacheFrom: readonly string[] }) {
    this.#host = host;
    this.#disabled = options.noCache;
    this.#useLocal = options.cacheFrom.length === 0;
    this.#givenSources = options.cacheFrom.flatMap((ref) => findQuietly(host, ref) ?? []);
    this.#sources = [...this.#givenSources];
  }

  startStage(): void {
    this.#missed = false;
    this.#sources = [...this.#givenSources];
  }

  /** The id of the image that the step would make; undefined if it must be carried out. */
  async probe(parentId: string, config: RunConfig): Promise<string | undefined> {
    if (this.#disabled || this.#missed) return undefined;
    const id = this.#useLocal
      ? this.#findChild(parentId, config)
      : await this.#findInSources(parentId, config);
    this.#missed = id === undefined;
    return id;
  }

  #findChild(parentId: string, config: RunConfig): string | undefined {
    let match: Image | undefined;
    for (const image of this.#host.listImages()) {
      if (image.parentId !== parentId || !sameConfig(image.config.container_config, config)) continue;
      if (match === undefined || createdOf(match) < createdOf(image)) match = image;
    }
    return match?.id;
  }

  async #findInSources(parentId: string, config: RunConfig): Promise<string | undefined> {
    const local = this.#findChild(parentId, config);
    if (local !== undefined && this.#givenSources.some((source) => this.#descends(source, local)))
      return local;
    const parent = parentId === '' ? undefined : this.#host.getImage(parentId);
    const length = parent?.config.history?.length ?? 0;
    for (const source of this.#sources) {
      const step = source.config.history?.[length];
      if (step === undefined || !continues(source.config, parent?.config)) continue;
      if ((config.Cmd ?? []).join(' ') !== step.created_by) continue;
      if (length + 1 === source.config.history?.length) return source.id;
      const image = await this.#host.createImage(upToStep(source.config, length, config), parentId);
      this.#sources = [source]; // as dockerd: no jumping from one to another
      return image.id;
    }
    return undefined;
  }

  #descends(image: Image, ancestorId: string): boolean {
    for (let at: Image | undefined = image; at !== undefined;) {
      if (at.id === ancestorId) return true;
      at = at.parentId === '' ? undefined : findQuietly(this.#host, at.parentId);
    }
    return false;
  }
}

/** dockerd's runconfig.Compare. */
export function sameConfig(one: ImageRunConfig | null | undefined, other: ImageRunConfig): boolean {
  if (one === null || one === undefined) return false;
  const lists = (key: 'Cmd' | 'Env' | 'Entrypoint'): boolean => sameList(one[key] ?? [], other[key] ?? []);
  const names = (key: 'ExposedPorts' | 'Volumes'): boolean =>
    sameList(Object.keys(one[key] ?? {}).sort(), Object.keys(other[key] ?? {}).sort());
  return (
    (one.User ?? '') === (other.User ?? '') &&
    lists('Cmd') &&
    lists('Env') &&
    lists('Entrypoint') &&
    names('ExposedPorts') &&
    names('Volumes') &&
    sameList(sortedPairs(one.Labels), sortedPairs(other.Labels))
  );
}

function sortedPairs(labels: Record<string, string> | null | undefined): string[] {
  return Object.entries(labels ?? {})
    .map(([key, value]) => JSON.stringify([key, value]))
    .sort();
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, i) => item === other[i]);
}

/** True if `image` was made on top of `parent`, with the same history and layers up to there. */
function continues(image: ImageConfig, parent: ImageConfig | undefined): boolean {
  if (parent === undefined) return true;
  const history = parent.history ?? [];
  const diffIds = parent.rootfs.diff_ids;
  return (
    history.every((item, i) => JSON.stringify(item) === JSON.stringify(image.history?.[i])) &&
    diffIds.every((diffId, i) => diffId === image.rootfs.diff_ids[i])
  );
}

/** The image as it was after one of its steps. */
function upToStep(image: ImageConfig, step: number, config: RunConfig): ImageConfig {
  const history = (image.history ?? []).slice(0, step + 1);
  const layers = history.filter((item) => item.empty_layer !== true).length;
  return {
    architecture: image.architecture,
    os: image.os,
    ...(image.author === undefined ? {} : { author: image.author }),
    ...(history.at(-1)?.created === undefined ? {} : { created: history.at(-1)?.created ?? '' }),
    config,
    rootfs: { type: 'layers', diff_ids: image.rootfs.diff_ids.slice(0, layers) },
    history,
  };
}

function createdOf(image: Image): string {
  return image.config.created ?? '';
}

function findQuietly(host: BuildHost, ref: string): Image | undefined {
  try {
    return host.findImage(ref);
  } catch {
    return undefined;
  }
}
