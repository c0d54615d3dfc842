// An image of a registry that a build wants: its configuration first, its layers only if something reads them. It gets no name here.

import { DaemonError } from '../../errors';
import { parseReference } from '../../registry/reference';
import type { Platform } from '../../registry/platform';
import type { RegistryAuth } from '../../registry/auth';
import { RegistryClient } from '../../registry/registry-client';
import type { ProgressSink, RemoteImage } from '../contract/stores';
import { parseConfig } from '../images/image-config';
import { requireLayerDepth } from '../layers/layer-store';
import { noteOrigins, pullLayers, type Pull, type PullContext } from './image-pull';
import { imageManifest, repositoryName } from './image-resolution';
import { parseManifest } from './manifest';

/** Asks the registry for what `text` names. Rejects in the registry's words. */
export async function findRemoteImage(
  context: PullContext,
  text: string,
  { platform, auth }: { platform: Platform | undefined; auth: RegistryAuth },
  signal: AbortSignal,
): Promise<RemoteImage> {
  const reference = parseReference(text);
  const client = new RegistryClient(reference.domain, auth, context.registry);
  const name = repositoryName(reference);
  const pull: Pull = { ...context, client, platform, progress: () => undefined, signal };
  const top = await client.manifest(name, reference.digest ?? reference.tag ?? 'latest', signal);
  const { config, layers } = await imageManifest(pull, name, parseManifest(top));
  const known = context.index.configText(config.digest);
  const configText = known ?? (await client.config(name, config.digest, signal)).toString();
  const diffIds = parseConfig(configText).rootfs.diff_ids;
  if (diffIds.length !== layers.length)
    throw new DaemonError('Internal', `layers from manifest don't match image configuration`);
  requireLayerDepth(diffIds, 'failed to register layer: ');
  return {
    digest: top.digest,
    config: Buffer.from(configText),
    diffIds,
    fetchLayers: async (progress: ProgressSink, own: AbortSignal) => {
      const jobs = layers.map((descriptor, i) => ({ descriptor, diffId: diffIds[i] ?? '' }));
      await pullLayers({ ...pull, progress, signal: own }, name, jobs);
      noteOrigins(context, reference, layers, diffIds);
    },
  };
}
