// Lets the builder (src/builder) work on a cluster: each image that it makes is in the registry and the records before the next step, so
// that a RUN is a container as any other, whose Pod's image is the one of the step before.

import { Readable } from 'node:stream';
import type { BuildOptions } from '../../api/v1.41/backend';
import { unlessAborted } from '../../async/deadline';
import type { BuildHost, ContainerOutput, StepContainer } from '../../builder/host';
import type { LayerReader } from '../../builder/file-contents';
import { loginFor } from '../../builder/registry-logins';
import { imageless, stepHostConfig } from '../../builder/step-container';
import { copyOutput } from '../../builder/step-output';
import type { ImageConfig } from '../../docker/image-config';
import { errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { parseReference } from '../../registry/reference';
import type { BlobDescriptor } from '../../registry/registry-upload';
import { newContainerId } from '../../semantics/containers/container-names';
import { filledImage } from '../../semantics/images/filled-image';
import { refuseReservedName } from '../../semantics/images/reserved-name';
import type { Image } from '../../storage/contract/image';
import type { ProgressMessage } from '../../storage/contract/stores';
import { beatMs } from '../contract/build-beat';
import type { ClusterContext } from '../containers/context';
import { createContainer } from '../containers/create';
import { removeContainer } from '../containers/remove';
import { startContainer } from '../containers/start';
import type { ClusterImageBackend } from '../images/image-backend';
import type { ImageCatalog, ImageView } from '../images/image-catalog';
import { fetchLayer, type FetchNeeds } from '../layers/fetched-layers';
import { keepImage } from '../layers/made-images';
import type { OwnRegistry } from '../layers/own-registry';
import type { Workshop, Workshops } from '../layers/workshop';
import type { ClusterContainer } from '../records/cluster-container';
import { changedLayer, whenListed } from '../streams/changes';
import type { ContainerReach } from '../streams/reach';
import type { RunHubs } from '../streams/run-hubs';

export interface ClusterBuildNeeds extends FetchNeeds {
  context: ClusterContext;
  catalog: ImageCatalog;
  images: Pick<ClusterImageBackend, 'pull' | 'tag'>;
  own: OwnRegistry;
  workshops: Workshops;
  reach: ContainerReach;
  hubs: RunHubs;
  /** Version in images' `docker_version`. */
  engineVersion: string;
  experimental: boolean;
}

export class ClusterBuildHost implements BuildHost {
  readonly layers: LayerReader = { openTar: (diffId) => this.#openTar(diffId) };
  readonly engineVersion: string;
  readonly experimental: boolean;
  readonly temporaryDir: string;
  readonly #needs: ClusterBuildNeeds;
  readonly #options: Pick<BuildOptions, 'auths' | 'room'>;
  readonly #workshop: Workshop;
  readonly #signal: AbortSignal;
  /** The images at the last look, and those that this build has made since. */
  #view: ImageView;
  readonly #there = new Map<string, BlobDescriptor>();
  readonly #fetches = new Map<string, Promise<void>>();
  /** Steps that have a container, and what ends their beats. */
  readonly #steps = new Map<string, () => void>();
  /** There is no image to make a container of. */
  readonly #imageless = new Set<string>();

  private constructor(
    workshop: Workshop,
    needs: ClusterBuildNeeds,
    options: Pick<BuildOptions, 'auths' | 'room'>,
    { view, signal }: { view: ImageView; signal: AbortSignal },
  ) {
    this.#workshop = workshop;
    this.#needs = needs;
    this.#options = options;
    this.#view = view;
    this.#signal = signal;
    this.engineVersion = needs.engineVersion;
    this.experimental = needs.experimental;
    this.temporaryDir = workshop.temporaryDir;
  }

  /** For one build: release it. */
  static async in(
    workshop: Workshop,
    needs: ClusterBuildNeeds,
    options: Pick<BuildOptions, 'auths' | 'room'>,
    signal: AbortSignal,
  ): Promise<ClusterBuildHost> {
    return new ClusterBuildHost(workshop, needs, options, { view: await needs.catalog.read(), signal });
  }

  release(): void {
    for (const end of this.#steps.values()) end();
  }

  findImage(ref: string): Image | undefined {
    if (!/^(sha256:)?[a-f0-9]{64}$/.test(ref)) parseReference(ref);
    return this.#view.index.find(ref);
  }

  getImage(ref: string): Image {
    return this.#view.index.get(ref);
  }

  listImages(): Image[] {
    return this.#view.index.list();
  }

  async pull(...[ref, { platform }, progress, signal]: Parameters<BuildHost['pull']>): Promise<void> {
    refuseReservedName(ref);
    const auth = loginFor(this.#options.auths, ref);
    const words = [platform?.os, platform?.architecture, platform?.variant];
    const text = words.filter((word) => word !== undefined && word !== '').join('/');
    await this.#needs.images.pull(
      {
        fromImage: ref,
        tag: '',
        ...(text === '' ? {} : { platform: text }),
        ...(auth === undefined ? {} : { auth }),
      },
      (line) => progress(line as ProgressMessage), // as a pull's lines are
      signal,
    );
    this.#view = await this.#needs.catalog.read();
  }

  async createImage(config: ImageConfig, parentId: string): Promise<Image> {
    const made = { configText: JSON.stringify(filledImage(config)), parentId, names: [] };
    const places = { workshop: this.#workshop, there: this.#there };
    const { image, view } = await keepImage(this.#needs, places, made, this.#signal);
    this.#view = view;
    return image;
  }

  async tag(imageId: string, name: string): Promise<void> {
    await this.#needs.images.tag(imageId, { repo: name, tag: '' });
  }

  async addLayer(...[stream, signal]: Parameters<BuildHost['addLayer']>): Promise<string> {
    return (await this.#workshop.layers.add(stream, { signal })).diffId;
  }

  async createContainer({
    config,
    limits,
    runs,
  }: StepContainer): Promise<{ id: string; warnings: string[] }> {
    const hasImage = (config.Image ?? '') !== '';
    if (!runs || !hasImage) {
      const id = newContainerId();
      if (!hasImage) this.#imageless.add(id);
      return { id, warnings: [] };
    }
    const { Id, Warnings } = await createContainer(
      this.#needs.context,
      { ...config, HostConfig: stepHostConfig(limits) },
      { version: { major: 1, minor: 41 }, isBuildStep: true },
    );
    this.#steps.set(Id, this.#beginBeats(this.#needs.reach.byId(Id)));
    return { id: Id, warnings: Warnings };
  }

  async runContainer(id: string, output: ContainerOutput, signal: AbortSignal): Promise<number> {
    if (this.#imageless.has(id)) throw imageless();
    // What it waits for comes to an end when the container is removed, which is what follows.
    return unlessAborted(this.#run(await this.#needs.reach.get(id), output, signal), signal);
  }

  async commitContainer(id: string, signal: AbortSignal): Promise<string | undefined> {
    const { reach } = this.#needs;
    const layer = await changedLayer(reach, await reach.get(id), signal);
    return layer === undefined ? undefined : this.addLayer(layer, signal);
  }

  async removeContainer(id: string): Promise<void> {
    if (!this.#endBeats(id)) return;
    try {
      await removeContainer(this.#needs.context, id, { force: true, volumes: true, link: false });
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
  }

  leaveContainer(id: string): void {
    const container = this.#needs.reach.byId(id);
    if (!this.#endBeats(id) || container === undefined) return;
    this.#needs.context.containers
      .update(container, (record) => ({ ...record, isBuildStep: false }))
      .catch((error: unknown) => {
        log.warn('a container of a build is left to the reaper', {
          containerId: id,
          error: errorMessage(error),
        });
      });
  }

  async #run(container: ClusterContainer, output: ContainerOutput, signal: AbortSignal): Promise<number> {
    const { context, reach, hubs } = this.#needs;
    const attachment = await hubs.attach(container, { stdout: true, stderr: true });
    reach.publish('attach', container);
    try {
      const copied = copyOutput(attachment.subscription, output, this.#options.room);
      copied.catch(() => undefined); // where the start fails, that is what is told
      await startContainer(context, container, {
        prepare: (supervisor) => whenListed(supervisor, signal),
      });
      await copied;
      const { StatusCode } = await context.waits.wait(container, 'not-running', signal);
      return StatusCode;
    } finally {
      attachment.close();
    }
  }

  #beginBeats(container: ClusterContainer | undefined): () => void {
    const beat = async (): Promise<void> => {
      if (container === undefined) return;
      await this.#needs.context.containers.update(container, (record) => ({
        ...record,
        buildBeat: (record.buildBeat ?? 0) + 1,
      }));
    };
    const timer = setInterval(() => {
      beat().catch((error: unknown) =>
        log.debug('a build does not say that it goes on', { error: errorMessage(error) }),
      );
    }, beatMs).unref();
    return () => clearInterval(timer);
  }

  /** False: it has no container. */
  #endBeats(id: string): boolean {
    this.#steps.get(id)?.();
    return this.#steps.delete(id);
  }

  #openTar(diffId: string): Readable {
    return Readable.from(this.#readLayer(diffId), { objectMode: false });
  }

  async *#readLayer(diffId: string): AsyncGenerator<Buffer, void, undefined> {
    await this.#fetch(diffId);
    yield* this.#workshop.layers.openTar(diffId) as AsyncIterable<Buffer>; // a stream of bytes
  }

  /** Once, however many want it. */
  #fetch(diffId: string): Promise<void> {
    const known = this.#fetches.get(diffId);
    if (known !== undefined) return known;
    const places = { workshop: this.#workshop, view: this.#view };
    const fetching = fetchLayer(this.#needs, places, diffId, this.#signal);
    this.#fetches.set(diffId, fetching);
    fetching.catch(() => this.#fetches.delete(diffId));
    return fetching;
  }
}
