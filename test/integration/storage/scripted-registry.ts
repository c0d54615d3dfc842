// A registry that does what a test tells it: images made in memory, and every way of going wrong.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface Blob {
  digest: string;
  body: Buffer;
  mediaType: string;
}

export const mediaTypes = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

export function sha256(data: Buffer | string): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

export interface LayerSource {
  tar: Buffer;
  /** As it is sent; gzip of `tar` unless told. */
  blob?: Buffer;
  mediaType?: string;
  /** What the configuration claims; the truth unless told. */
  diffId?: string;
}

/** Answers true when it has dealt with the request. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export class ScriptedRegistry {
  readonly #server: Server;
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, Blob>();
  /** Every request as `METHOD path`, with its range. */
  readonly requests: string[] = [];
  readonly faults: Fault[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response);
    });
  }

  static async start(port = 0): Promise<ScriptedRegistry> {
    const registry = new ScriptedRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(port, '127.0.0.1', resolve));
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  addBlob(body: Buffer, digest = sha256(body)): string {
    this.#blobs.set(digest, body);
    return digest;
  }

  blob(digest: string): Buffer | undefined {
    return this.#blobs.get(digest);
  }

  /** Under its digest, and under `tag` if there is one. */
  addManifest(name: string, value: object | Buffer, mediaType: string, tag?: string): Blob {
    const body = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
    const manifest = { body, mediaType, digest: sha256(body) };
    this.#manifests.set(`${name}@${manifest.digest}`, manifest);
    if (tag !== undefined) this.#manifests.set(`${name}@${tag}`, manifest);
    return manifest;
  }

  /** An image of these layers as `name:tag`. Returns its manifest and the digests of its layers' blobs. */
  addImage(
    name: string,
    tag: string | undefined,
    layers: readonly LayerSource[],
    more: { config?: object; oci?: boolean; schemaVersion?: number } = {},
  ): { manifest: Blob; layerDigests: string[]; imageId: string } {
    const oci = more.oci === true;
    const config = Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        created: '2024-01-01T00:00:00Z',
        config: { Cmd: ['sh'] },
        history: layers.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'test' })),
        rootfs: { type: 'layers', diff_ids: layers.map(({ tar, diffId }) => diffId ?? sha256(tar)) },
        ...more.config,
      }),
    );
    const blobs = layers.map(({ tar, blob, mediaType }) => {
      const body = blob ?? gzipSync(tar);
      return {
        mediaType: mediaType ?? (oci ? mediaTypes.ociLayer : mediaTypes.gzip),
        size: body.length,
        digest: this.addBlob(body),
      };
    });
    const manifest = this.addManifest(
      name,
      {
        schemaVersion: more.schemaVersion ?? 2,
        mediaType: oci ? mediaTypes.ociManifest : mediaTypes.manifest,
        config: {
          mediaType: oci ? mediaTypes.ociConfig : mediaTypes.config,
          size: config.length,
          digest: this.addBlob(config),
        },
        layers: blobs,
      },
      oci ? mediaTypes.ociManifest : mediaTypes.manifest,
      tag,
    );
    return { manifest, layerDigests: blobs.map(({ digest }) => digest), imageId: sha256(config) };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { range } = request.headers;
    this.requests.push(
      `${request.method ?? ''} ${request.url ?? ''}${range === undefined ? '' : ` ${range}`}`,
    );
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    if (this.faults.some((fault) => fault(request, response))) return;
    const url = request.url ?? '';
    if (url === '/v2/') {
      response.end('{}');
      return;
    }
    const [, name = '', kind, key = ''] = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/?]+)/.exec(url) ?? [];
    if (kind === 'tags') {
      const tags = [...this.#manifests.keys()]
        .filter((each) => each.startsWith(`${name}@`) && !each.includes('@sha256:'))
        .map((each) => each.slice(name.length + 1));
      response.end(JSON.stringify({ name, tags }));
      return;
    }
    if (kind === 'manifests') {
      const manifest = this.#manifests.get(`${name}@${key}`);
      if (manifest === undefined) {
        sendError(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
        return;
      }
      response.setHeader('docker-content-digest', manifest.digest);
      response.setHeader('content-type', manifest.mediaType);
      response.setHeader('content-length', manifest.body.length);
      response.end(request.method === 'HEAD' ? undefined : manifest.body);
      return;
    }
    const blob = kind === 'blobs' ? this.#blobs.get(key) : undefined;
    if (blob === undefined) {
      sendError(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
      return;
    }
    const start = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
    if (start > 0) {
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${start}-${blob.length - 1}/${blob.length}`);
    }
    response.setHeader('content-length', blob.length - start);
    response.end(request.method === 'HEAD' ? undefined : blob.subarray(start));
  }
}

export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
