// OCI image layouts (image-spec image-layout.md) in an archive: index.json leads to manifests, those to blobs.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import type { ArchiveFile, ArchivedImage } from './archive-file';
import { parsedJson } from './load-steps';
import { noMatchingManifest } from '../transfers/manifest';

interface Descriptor {
  digest: string;
  platform?: { os?: string; architecture?: string };
  annotations?: Record<string, string>;
}

interface IndexOrManifest {
  manifests?: Descriptor[];
  config?: Descriptor;
  layers?: Descriptor[];
}

const maxDepth = 4;

/** The images of the layout that can run here. Their names come from annotations. Throws NotFound if all are for others. */
export async function readOciLayout(archive: ArchiveFile): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  const others: Descriptor[] = [];
  const visit = async (descriptors: Descriptor[], inherited: string | undefined, depth: number) => {
    if (depth > maxDepth) throw new DaemonError('Internal', 'invalid archive: indexes too deep');
    for (const descriptor of descriptors) {
      const { digest, platform, annotations } = descriptor;
      if (platform !== undefined && (platform.os !== 'linux' || platform.architecture !== 'amd64')) {
        others.push(descriptor);
        continue;
      }
      const name =
        annotations?.['io.containerd.image.name'] ??
        annotations?.['org.opencontainers.image.ref.name'] ??
        inherited;
      const { manifests, config, layers } = await readBlob(archive, digest);
      if (manifests !== undefined) await visit(manifests, name, depth + 1);
      else if (config !== undefined) {
        images.push({
          config: blobName(config.digest),
          // A bare tag is a name only within the layout.
          repoTags: name !== undefined && /[/:]/.test(name) ? [withTag(name)] : [],
          layers: (layers ?? []).map((layer) => ({
            name: blobName(layer.digest),
            blobDigest: layer.digest,
          })),
        });
      }
    }
  };
  const { manifests } = asDocument(await archive.json('index.json'));
  await visit(manifests ?? [], undefined, 0);
  if (images.length === 0 && others.length > 0) throw noMatchingManifest('linux/amd64');
  return images;
}

function withTag(name: string): string {
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

async function readBlob(archive: ArchiveFile, digest: string): Promise<IndexOrManifest> {
  const text = await archive.text(blobName(digest));
  if (`sha256:${createHash('sha256').update(text).digest('hex')}` !== digest) {
    throw new DaemonError('Internal', `manifest verification failed for digest ${digest}`);
  }
  return asDocument(parsedJson(text));
}

function asDocument(value: unknown): IndexOrManifest {
  const { manifests, config, layers } = Object(value) as Record<string, unknown>;
  const all = [manifests ?? [], config === undefined ? [] : [config], layers ?? []];
  if (!all.every((list) => Array.isArray(list) && list.every(isDescriptor))) {
    throw new DaemonError('Internal', 'invalid archive: a manifest is malformed');
  }
  return value as IndexOrManifest; // just checked, as far as it is used
}

function isDescriptor(value: unknown): value is Descriptor {
  return typeof (Object(value) as Record<string, unknown>)['digest'] === 'string';
}

function blobName(digest: string): string {
  if (!/^sha256:[a-f0-9]{64}$/.test(digest)) throw new DaemonError('Internal', `invalid digest ${digest}`);
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}
