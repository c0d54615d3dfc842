// Layers of images that are in registries, brought into a workshop when they are read.

import { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import type { RegistryOptions } from '../../registry/registry-client';
import type { ImageView } from '../images/image-catalog';
import { originOf } from '../images/image-push';
import type { PullSecrets } from '../images/pull-secrets';
import type { Workshop } from './workshop';

export interface FetchNeeds {
  secrets: PullSecrets;
  registry: RegistryOptions;
}

/** Throws Internal for a layer that no registry is known to have, and in the registry's words. */
export async function fetchLayer(
  { secrets, registry }: FetchNeeds,
  { workshop, view }: { workshop: Pick<Workshop, 'layers'>; view: Pick<ImageView, 'findLayer'> },
  diffId: string,
  signal: AbortSignal,
): Promise<void> {
  if (workshop.layers.find(diffId) !== undefined) return;
  const found = view.findLayer(diffId);
  if (found === undefined) throw new DaemonError('Internal', `no registry is known that has layer ${diffId}`);
  const { digest, bytes } = found.layer;
  const { client, name } = await originOf({ secrets, registry }, found.source);
  const blob = Readable.from(client.openBlob(name, digest, signal), { objectMode: false });
  await workshop.layers.add(blob, { blobDigest: digest, blobBytes: bytes, diffId, signal });
}
