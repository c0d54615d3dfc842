// `docker load`, `docker import` and `docker save` on a cluster: archives are read and written as by an engine on one machine, in a
// workshop, and the images are in the operator's registry.

import type { ImageBackend, ProgressWriter } from '../../api/v1.41/backend';
import type { RegistryOptions } from '../../registry/registry-client';
import { importRequest } from '../../semantics/images/import-request';
import { importTar } from '../../storage/archives/image-import';
import { loadArchive } from '../../storage/archives/image-load';
import { chosenImages, saveImages } from '../../storage/archives/image-save';
import type { ProgressMessage } from '../../storage/contract/stores';
import type { ImageCatalog, ImageView } from '../images/image-catalog';
import type { PullSecrets } from '../images/pull-secrets';
import { fetchLayer } from './fetched-layers';
import { keepImages, type MadeImage } from './made-images';
import { needsRegistry, type OwnRegistry } from './own-registry';
import type { Workshop, Workshops } from './workshop';

export interface ImageArchivesNeeds {
  catalog: ImageCatalog;
  secrets: PullSecrets;
  registry: RegistryOptions;
  workshops: Workshops;
  /** Undefined: the operator has named none. */
  own: OwnRegistry | undefined;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

interface ImageEvent {
  action: string;
  id: string;
  attributes: Record<string, string>;
}

/** What an archive brought, in a view that is thrown away. */
interface Brought {
  view: ImageView;
  events: ImageEvent[];
  /** What names led to before. */
  before: ReadonlyMap<string, string>;
}

export class ImageArchives implements Pick<ImageBackend, 'load' | 'save' | 'importImage'> {
  readonly #needs: ImageArchivesNeeds;

  constructor(needs: ImageArchivesNeeds) {
    this.#needs = needs;
  }

  async load(
    body: NodeJS.ReadableStream,
    options: { quiet: boolean },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const own = this.#own('docker load');
    await this.#needs.workshops.use(async (workshop) => {
      const brought = await this.#begin();
      const { view, events } = brought;
      const context = { ...contextOf(workshop, brought), temporaryDir: workshop.temporaryDir };
      // What is loaded is told of when it is in the registry.
      const told: ProgressMessage[] = [];
      const sink = (message: ProgressMessage): void => {
        if (message.stream === undefined) progress(message);
        else told.push(message);
      };
      // As with dockerd, images that come before a broken one are there.
      const failure = await loadArchive(context, body, options, sink, signal).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      const ids = events.filter(({ action }) => action === 'load').map(({ id }) => id);
      const loaded = ids.length > 0 ? ids : newImages(view, await this.#needs.catalog.read());
      await this.#keep(own, workshop, brought, loaded, signal);
      for (const message of told) progress(message);
      if (failure !== undefined) throw failure.error;
    });
  }

  async importImage(
    options: Parameters<ImageBackend['importImage']>[0],
    body: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const own = this.#own('docker import');
    const { source, ...request } = await importRequest(options, body, progress, signal);
    await this.#needs.workshops.use(async (workshop) => {
      const brought = await this.#begin();
      const id = await importTar(contextOf(workshop, brought), source, request, signal);
      await this.#keep(own, workshop, brought, [id], signal);
      progress({ status: id });
    });
  }

  /** The layers are fetched before the first byte: what a registry lacks is told as an error. */
  async save(refs: string[], signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    const { catalog, workshops, publish } = this.#needs;
    const view = await catalog.read();
    const chosen = chosenImages(view.index, refs);
    const workshop = await workshops.open();
    try {
      for (const { config } of chosen)
        for (const diffId of config.rootfs.diff_ids)
          await fetchLayer(this.#needs, { workshop, view }, diffId, signal);
      const archive = saveImages(
        { index: view.index, layers: workshop.layers, publish: () => undefined },
        refs,
        signal,
      );
      archive.once('close', () => void workshop.close());
      for (const { id } of chosen) await publish('save', id, { name: id });
      return archive;
    } catch (error) {
      await workshop.close();
      throw error;
    }
  }

  #own(what: string): OwnRegistry {
    if (this.#needs.own === undefined) throw needsRegistry(what);
    return this.#needs.own;
  }

  async #begin(): Promise<Brought> {
    const view = await this.#needs.catalog.read();
    const names = view.index.list().flatMap(({ id, repoTags }) => repoTags.map((tag) => [tag, id] as const));
    return { view, events: [], before: new Map(names) };
  }

  /** Into the registry and the records; then it is told of. */
  async #keep(
    own: OwnRegistry,
    workshop: Workshop,
    { view, events, before }: Brought,
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const made = [...new Set(ids)].map((id): MadeImage => {
      const { parentId, repoTags } = view.index.get(id);
      return {
        configText: view.index.configText(id) ?? '',
        parentId,
        names: repoTags.filter((name) => before.get(name) !== id),
      };
    });
    await keepImages({ catalog: this.#needs.catalog, own }, { workshop }, made, signal);
    for (const { action, id, attributes } of events) await this.#needs.publish(action, id, attributes);
  }
}

/** Docker's archives before 1.10 are loaded without a word of each image. */
function newImages({ index }: ImageView, before: ImageView): string[] {
  return index.list().flatMap(({ id }) => (before.index.byId(id) === undefined ? [id] : []));
}

function contextOf({ layers }: Workshop, { view: { index }, events }: Brought) {
  const publish = (action: string, id: string, attributes: Record<string, string>): void =>
    void events.push({ action, id, attributes });
  return { index, layers, publish };
}
