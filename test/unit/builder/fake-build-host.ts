// A build's host without VMs: layers are kept as bytes, and commands do what the test says.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import type { BuildHost, RunConfig, StepContainer } from '../../../src/builder/host';
import { LayerIndexes } from '../../../src/builder/image-files';
import { runBuild, type BuildMessage } from '../../../src/builder/run-build';
import { DaemonError } from '../../../src/errors';
import type { Image } from '../../../src/storage/contract/image';
import type { ImageConfig } from '../../../src/docker/image-config';

export class FakeBuildHost implements BuildHost {
  readonly images = new Map<string, Image>();
  readonly tarsByDiffId = new Map<string, Buffer>();
  readonly containers = new Map<string, RunConfig>();
  readonly pulled: string[] = [];
  readonly engineVersion = '1';
  readonly experimental = false;
  readonly temporaryDir = mkdtempSync(join(tmpdir(), 'caisson-build-'));
  exitCode = 0;
  #count = 0;

  readonly layers = {
    openTar: (diffId: string): Readable =>
      Readable.from([this.tarsByDiffId.get(diffId) ?? Buffer.alloc(0)], { objectMode: false }),
  };

  remove(): void {
    rmSync(this.temporaryDir, { recursive: true });
  }

  findImage(ref: string): Image | undefined {
    return [...this.images.values()].find(({ id, repoTags }) => id === ref || repoTags.includes(ref));
  }

  getImage(ref: string): Image {
    const image = this.findImage(ref);
    if (image === undefined) throw new DaemonError('NotFound', `No such image: ${ref}`);
    return image;
  }

  listImages(): Image[] {
    return [...this.images.values()];
  }

  pull(ref: string): Promise<void> {
    this.pulled.push(ref);
    return Promise.reject(new DaemonError('NotFound', `${ref} not found`));
  }

  createImage(config: ImageConfig, parentId: string): Promise<Image> {
    const id = `sha256:${createHash('sha256').update(JSON.stringify(config)).digest('hex')}`;
    const image = { id, config, repoTags: [], repoDigests: [], sizeBytes: 0, parentId, lastTagTimeMs: 0 };
    this.images.set(id, image);
    return Promise.resolve(image);
  }

  tag(imageId: string, name: string): Promise<void> {
    this.getImage(imageId).repoTags.push(name);
    return Promise.resolve();
  }

  async addLayer(stream: Readable): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    const tar = Buffer.concat(chunks);
    const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
    this.tarsByDiffId.set(diffId, tar);
    return diffId;
  }

  createContainer({ config }: StepContainer): Promise<{ id: string; warnings: string[] }> {
    this.#count += 1;
    const id = String(this.#count).padStart(64, '0');
    this.containers.set(id, config);
    return Promise.resolve({ id, warnings: [] });
  }

  runContainer(): Promise<number> {
    return Promise.resolve(this.exitCode);
  }

  commitContainer(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  removeContainer(id: string): Promise<void> {
    this.containers.delete(id);
    return Promise.resolve();
  }

  leaveContainer(): void {
    // stays in `containers`
  }
}

/** Runs a build; what was told, as the CLI would print it. */
export async function buildText(
  host: FakeBuildHost,
  tar: Buffer,
  query: Record<string, string> = {},
): Promise<{ text: string; messages: BuildMessage[] }> {
  const messages: BuildMessage[] = [];
  await runBuild(host, new LayerIndexes(host.layers), {
    query: new URLSearchParams(query),
    body: Readable.from([tar], { objectMode: false }),
    send: (message) => messages.push(message),
    signal: new AbortController().signal,
  });
  const text = messages.map(({ stream = '', error = '' }) => stream + error).join('');
  return { text, messages };
}
