// What a build needs from the engine: images, layers, and containers to run commands in.

import type { Readable } from 'node:stream';
import type { Image } from '../storage/contract/image';
import type { ImageConfig, ImageRunConfig } from '../docker/image-config';
import type { ProgressMessage } from '../storage/contract/stores';
import type { Platform } from '../registry/platform';
import type { LayerReader } from './file-contents';
import type { ResourceLimits } from './limits';

/** The configuration that goes from instruction to instruction; `Image` is the one before. */
export type RunConfig = ImageRunConfig & { Image?: string };

/** As Docker's API has it. */
export interface Ulimit {
  Name: string;
  Soft: number;
  Hard: number;
}

export interface BuildLimits extends ResourceLimits {
  cgroupParent: string;
  shmBytes: number;
  ulimits: Ulimit[];
  networkMode: string;
  extraHosts: string[];
}

export interface ContainerOutput {
  stdout(text: string): void;
  stderr(text: string): void;
}

export interface StepContainer {
  config: RunConfig;
  limits: BuildLimits;
  /** A command will. Otherwise the container is Docker's way to change a configuration: whoever makes none gives an id alone. */
  runs: boolean;
}

export interface BuildHost {
  /** By name or id. Throws InvalidParameter for what can be no name. */
  findImage(ref: string): Image | undefined;
  getImage(ref: string): Image;
  listImages(): Image[];
  pull(
    ref: string,
    options: { platform?: Platform },
    progress: (message: ProgressMessage) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Its layers are in the store. */
  createImage(config: ImageConfig, parentId: string): Promise<Image>;
  tag(imageId: string, name: string): Promise<void>;
  /** Version in `docker_version`. */
  readonly engineVersion: string;
  readonly experimental: boolean;

  readonly layers: LayerReader;
  /** Takes a layer's tar; its diff ID. Kept from the garbage until the build's image is there. */
  addLayer(stream: Readable, signal: AbortSignal): Promise<string>;

  /** An intermediate container. */
  createContainer(container: StepContainer): Promise<{ id: string; warnings: string[] }>;
  /** Starts it; resolves with its exit code when it has ended and all its output was given. */
  runContainer(id: string, output: ContainerOutput, signal: AbortSignal): Promise<number>;
  /** Its changes as a layer's diff ID; undefined if there are none. */
  commitContainer(id: string, signal: AbortSignal): Promise<string | undefined>;
  /** With its anonymous volumes, running or not. Does nothing if it is gone. */
  removeContainer(id: string): Promise<void>;
  /** The client wants to keep it: it is as any other from now on. */
  leaveContainer(id: string): void;

  /** For contexts and downloads; emptied when the daemon starts. */
  readonly temporaryDir: string;
}
