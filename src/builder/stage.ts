// One stage while it is built: the image so far, its configuration and files; and how a step becomes an image.

import { inheritTimings } from '../dockerfile/healthcheck-instruction';
import type { Image } from '../storage/contract/image';
import type { ImageConfig } from '../docker/image-config';
import type { Platform } from '../registry/platform';
import type { BuildHost, RunConfig } from './host';
import type { LayerIndexes } from './image-files';
import { StageFiles } from './image-files';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const defaultShell = ['/bin/sh', '-c'];
const hostPlatform: Platform = { os: 'linux', architecture: 'amd64' };

/** What a finished stage leaves to the ones after it. */
export interface FinishedStage {
  name: string;
  imageId: string;
}

export class BuildStage {
  readonly name: string;
  readonly files: StageFiles;
  /** '' as long as it is scratch. */
  imageId: string;
  runConfig: RunConfig;
  maintainer = '';
  /** Whether this Dockerfile has a CMD: a later ENTRYPOINT leaves that alone. */
  cmdSet = false;
  readonly #host: BuildHost;
  readonly #platform: Platform;

  /** `base` undefined: scratch. */
  constructor(
    host: BuildHost,
    indexes: LayerIndexes,
    options: { name: string; base: Image | undefined; platform: Platform | undefined },
  ) {
    this.#host = host;
    this.name = options.name;
    this.files = new StageFiles(indexes);
    this.imageId = options.base?.id ?? '';
    this.#platform = options.platform ?? hostPlatform;
    this.runConfig = structuredClone(options.base?.config.config ?? {});
    const env = this.runConfig.Env ?? [];
    if (!env.some((entry) => entry.startsWith('PATH='))) this.runConfig.Env = [...env, defaultPath];
  }

  get image(): Image | undefined {
    return this.imageId === '' ? undefined : this.#host.getImage(this.imageId);
  }

  get diffIds(): string[] {
    return this.image?.config.rootfs.diff_ids ?? [];
  }

  get shell(): string[] {
    const { Shell } = this.runConfig;
    return Shell === undefined || Shell === null || Shell.length === 0 ? defaultShell : Shell;
  }

  /** The configuration as the next step starts from it. */
  get config(): RunConfig {
    return { ...this.runConfig, Image: this.imageId };
  }

  /** As dockerd's builder, whose intermediate container gives the configuration what it has from the image. */
  inheritHealthcheck(): void {
    const { Healthcheck: own } = this.runConfig;
    const inherited = this.image?.config.config?.Healthcheck;
    if (own && inherited) this.runConfig.Healthcheck = inheritTimings(own, inherited);
  }

  /** With the comment that metadata leaves in history. */
  commented(comment: string): RunConfig {
    return { ...this.config, Cmd: [...this.shell, '#(nop) ', comment] };
  }

  /** The form of COPY, ADD and WORKDIR: one word. */
  commentedCopy(comment: string): RunConfig {
    return { ...this.config, Cmd: [...this.shell, `#(nop) ${comment}`] };
  }

  /** Records the step as an image on top of the one before. `diffId` undefined: no file changed. */
  async commit(
    containerConfig: RunConfig,
    options: { diffId?: string | undefined; containerId?: string | undefined },
  ): Promise<void> {
    const { diffId, containerId } = options;
    const before = this.image?.config;
    const created = createdNow();
    const author = this.maintainer === '' ? {} : { author: this.maintainer };
    const base: Pick<ImageConfig, 'architecture' | 'os' | 'variant'> = before ?? this.#platform;
    const config: ImageConfig = {
      architecture: base.architecture,
      ...(base.variant === undefined ? {} : { variant: base.variant }),
      os: base.os,
      ...(before?.['os.version'] === undefined ? {} : { 'os.version': before['os.version'] }),
      created,
      ...author,
      ...(containerId === undefined ? {} : { container: containerId }),
      container_config: containerConfig,
      docker_version: this.#host.engineVersion,
      config: this.config,
      rootfs: { type: 'layers', diff_ids: [...this.diffIds, ...(diffId === undefined ? [] : [diffId])] },
      history: [
        ...(before?.history ?? []),
        {
          created,
          ...author,
          created_by: (containerConfig.Cmd ?? []).join(' '),
          ...(diffId === undefined ? { empty_layer: true } : {}),
        },
      ],
    };
    const image = await this.#host.createImage(config, this.imageId);
    this.imageId = image.id;
  }
}

/** The order of images of one millisecond shows which is newer: the cache takes the newest. */
function createdNow(): string {
  const nanoseconds = process.hrtime.bigint() % 1_000_000n;
  return new Date().toISOString().replace('Z', `${String(nanoseconds).padStart(6, '0')}Z`);
}
