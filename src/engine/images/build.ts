// images/: what Docker does with images and a container, or with a Dockerfile: build, commit, import, and how
// images are shown.
//
// Lets the builder (src/builder) work on this engine: its images, its layers, and ordinary containers for RUN.

import { join } from 'node:path';
import type { BuildBackend, BuildOptions, ProgressWriter } from '../../api/v1.41/backend';
import type { AuthConfig } from '../../docker/types';
import type { BuildHost, ContainerOutput, StepContainer } from '../../builder/host';
import { LayerIndexes } from '../../builder/image-files';
import { loginFor } from '../../builder/registry-logins';
import { runBuild } from '../../builder/run-build';
import { imageless, stepHostConfig } from '../../builder/step-container';
import { copyOutput } from '../../builder/step-output';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import { parseReference } from '../../registry/reference';
import type { Image } from '../../storage/contract/image';
import type { ImageConfig } from '../../docker/image-config';
import type { SquashfsLayerStore } from '../../storage/layers/layer-store';
import type { ImageStore } from '../../storage/contract/stores';
import { createContainer, type CreateNeeds } from '../create/create';
import { newContainerId } from '../../semantics/containers/container-names';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { removeContainer, type RemoveNeeds } from '../lifecycle/remove';
import { startContainer, type StartNeeds } from '../lifecycle/start';
import { killContainer, type StopNeeds } from '../lifecycle/stop';
import { filledImage } from '../../semantics/images/filled-image';
import { nonEmptyLayer } from '../../storage/tar/non-empty-layer';
import { refuseReservedName } from '../../semantics/images/reserved-name';
import type { LeaveOptions, RunningPod } from '../vms/running-pod';
import type { Pods } from '../vms/pods';
import type { Engine } from '../engine';

/** What the steps of a build work with: containers that are made, run and removed, and whose VM goes on. */
export type BuildNeeds = CreateNeeds &
  StartNeeds &
  RemoveNeeds &
  Pick<Engine, 'beforeRest' | 'fileJobs' | 'vms'> & { readonly pods: Pick<Pods, 'place'> };

export interface ImageBuildContext {
  engine: BuildNeeds;
  images: ImageStore;
  layers: SquashfsLayerStore;
  dataRoot: string;
  /** Version in images' `docker_version`. */
  engineVersion: string;
  experimental: boolean;
}

/** What builds share: names of files in layers. */
export class ImageBuilds implements BuildBackend {
  readonly #context: ImageBuildContext;
  readonly #indexes: LayerIndexes;

  constructor(context: ImageBuildContext) {
    this.#context = context;
    this.#indexes = new LayerIndexes(context.layers);
  }

  async build(
    options: BuildOptions,
    body: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const host = new EngineBuildHost(this.#context, options);
    try {
      await runBuild(host, this.#indexes, { query: options.query, body, send: progress, signal });
    } finally {
      await host.release();
    }
  }
}

class EngineBuildHost implements BuildHost {
  readonly layers: SquashfsLayerStore;
  readonly engineVersion: string;
  readonly experimental: boolean;
  readonly temporaryDir: string;
  readonly #context: ImageBuildContext;
  readonly #auths: Readonly<Record<string, AuthConfig>>;
  readonly #room: () => Promise<void>;
  /** Layers of this build; held until its images have them. */
  readonly #holds = new Map<string, () => void>();
  readonly #held = new Map<string, { pod: Promise<RunningPod>; letGo: (how: LeaveOptions) => void }>();
  /** The VM of the steps so far, and what they did in it: the next step's is the same one. */
  #vmId: string | undefined;
  #lastStep: Promise<void> = Promise.resolve();
  /** Containers that are none: there is no image to make one of. */
  readonly #imageless = new Set<string>();

  constructor(context: ImageBuildContext, { auths, room }: Pick<BuildOptions, 'auths' | 'room'>) {
    this.#context = context;
    this.#auths = auths;
    this.#room = room;
    this.layers = context.layers;
    this.engineVersion = context.engineVersion;
    this.experimental = context.experimental;
    this.temporaryDir = join(context.dataRoot, 'tmp');
  }

  findImage(ref: string): Image | undefined {
    if (!/^(sha256:)?[a-f0-9]{64}$/.test(ref)) parseReference(ref);
    return this.#context.images.find(ref);
  }

  getImage(ref: string): Image {
    return this.#context.images.get(ref);
  }

  listImages(): Image[] {
    return this.#context.images.list();
  }

  async pull(...[ref, options, progress, signal]: Parameters<BuildHost['pull']>): Promise<void> {
    refuseReservedName(ref);
    const auth = loginFor(this.#auths, ref);
    await this.#context.images.pull(
      ref,
      { ...options, ...(auth === undefined ? {} : { auth }) },
      // dockerd leaves out which name it is that came
      (message) => progress(message),
      signal,
    );
  }

  createImage(config: ImageConfig, parentId: string): Promise<Image> {
    return this.#context.images.create(filledImage(config), { parentId });
  }

  tag(imageId: string, name: string): Promise<void> {
    return Promise.resolve().then(() => this.#context.images.tag(imageId, name));
  }

  async addLayer(...[stream, signal]: Parameters<BuildHost['addLayer']>): Promise<string> {
    const onDiffId = (diffId: string): void => {
      if (!this.#holds.has(diffId)) this.#holds.set(diffId, this.layers.hold([diffId]));
    };
    return (await this.layers.add(stream, { signal, onDiffId })).diffId;
  }

  /** Ends the VM. Layers that no image got are removed. */
  async release(): Promise<void> {
    for (const id of [...this.#held.keys()]) this.leaveContainer(id);
    await this.#endVm();
    for (const release of this.#holds.values()) release();
    await this.#context.images.removeUnusedLayers([...this.#holds.keys()]);
  }

  async createContainer({ config, limits }: StepContainer): Promise<{ id: string; warnings: string[] }> {
    if (config.Image === undefined || config.Image === '') {
      const id = newContainerId();
      this.#imageless.add(id);
      return { id, warnings: [] };
    }
    const { engine } = this.#context;
    const created = await createContainer(
      engine,
      { ...config, HostConfig: stepHostConfig(limits) },
      { version: { major: 1, minor: 41 }, isBuildStep: true },
    );
    return { id: created.Id, warnings: created.Warnings };
  }

  async runContainer(id: string, output: ContainerOutput, signal: AbortSignal): Promise<number> {
    if (this.#imageless.has(id)) throw imageless();
    const { engine } = this.#context;
    const container = engine.registry.get(id);
    await this.#useVm(container);
    this.#hold(container);
    const subscription = engine.hubs.of(id).subscribe({ stdout: true, stderr: true });
    engine.events.publish('container', 'attach', id, eventAttributes(container.record));
    const kill = (): void => {
      killQuietly(this.#context.engine, container);
    };
    signal.addEventListener('abort', kill);
    try {
      const copied = copyOutput(subscription, output, this.#room);
      await container.operations.run(() => startContainer(engine, container));
      if (signal.aborted) kill();
      await copied;
      const { StatusCode } = await engine.waits.wait(container, 'not-running');
      return StatusCode;
    } finally {
      signal.removeEventListener('abort', kill);
      subscription.close();
    }
  }

  async commitContainer(id: string, signal: AbortSignal): Promise<string | undefined> {
    const pod = await this.#held.get(id)?.pod;
    if (pod === undefined) throw new DaemonError('Internal', `container ${id} has not run`);
    const { fileJobs } = this.#context.engine;
    const job = await fileJobs.start(pod.vm.agent, id, { kind: 'layer' }, signal);
    const layer = await nonEmptyLayer(job.output);
    return layer === undefined ? undefined : this.addLayer(layer, signal);
  }

  leaveContainer(id: string): void {
    const { registry } = this.#context.engine;
    const container = registry.byId(id);
    if (container?.record.isBuildStep === true) registry.update(container, { isBuildStep: false });
    this.#letGo(id, { keepData: true });
  }

  async removeContainer(id: string): Promise<void> {
    if (this.#imageless.delete(id)) return;
    this.#letGo(id, { keepData: false });
    const { engine } = this.#context;
    if (engine.registry.byId(id) === undefined) return;
    await removeContainer(engine, id, { force: true, volumes: true, link: false });
  }

  /** Keeps the VM of a container, once that has ended, until `#letGo`: the changes are read there. */
  #hold({ id, operations }: Container): void {
    const { beforeRest } = this.#context.engine;
    let arrived: (pod: RunningPod) => void = () => undefined;
    let letGo: (how: LeaveOptions) => void = () => undefined;
    const pod = new Promise<RunningPod>((resolve) => (arrived = resolve));
    const released = new Promise<LeaveOptions>((resolve) => (letGo = resolve));
    beforeRest.set(id, (ended) => {
      arrived(ended);
      this.#vmId = ended.vm.id;
      this.#lastStep = operations.run(() => Promise.resolve());
      return released;
    });
    this.#held.set(id, { pod, letGo });
  }

  /** The container's VM goes on, empty, as the build's. */
  #letGo(id: string, how: { keepData: boolean }): void {
    this.#context.engine.beforeRest.delete(id);
    this.#held.get(id)?.letGo({ ...how, keepVm: true });
    this.#held.delete(id);
  }

  /** Steps of one build trust each other: what one may have done to the VM, it could have done to the files. */
  async #useVm({ record }: Container): Promise<void> {
    const { pods, vms } = this.#context.engine;
    await this.#lastStep;
    if (this.#vmId === undefined || vms.find(this.#vmId)?.state.kind !== 'Idle') return;
    pods.place(record.podId, this.#vmId);
  }

  async #endVm(): Promise<void> {
    await this.#lastStep;
    const vm = this.#vmId === undefined ? undefined : this.#context.engine.vms.find(this.#vmId);
    if (vm?.state.kind === 'Idle') await vm.end();
  }
}

function killQuietly(engine: StopNeeds, container: Container): void {
  killContainer(engine, container, { ref: container.id }).catch((error: unknown) =>
    log.debug('a cancelled build’s container could not be killed', { containerId: container.id, error }),
  );
}
