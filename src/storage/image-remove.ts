// Docker's DELETE /images: what it untags, what it deletes, and when it refuses.

import { DaemonError } from '../errors';
import { parseReference, familiarName, familiarReference } from '../registry/reference';
import type { Image } from './image';
import { chainIds, type ImageIndex } from './image-index';
import type { SquashfsLayerStore } from './layer-store';

export type ImageUse = (imageId: string) => { containerId: string; running: boolean }[];
export interface RemovedItem {
  Untagged?: string;
  Deleted?: string;
}

export interface RemoveContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

const short = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

export async function removeImage(
  context: RemoveContext,
  ref: string,
  options: { force: boolean; prune: boolean },
  inUse: ImageUse,
): Promise<RemovedItem[]> {
  const { index } = context;
  const image = index.get(ref);
  const removed: RemovedItem[] = [];
  const allNames = index.namesOf(image.id);
  const name = namedBy(ref, image);
  if (name !== undefined) {
    const tagsLeft = allNames.filter((other) => other !== name && !other.includes('@'));
    if (!options.force && tagsLeft.length === 0 && !name.includes('@'))
      refuseWhileUsedByName(image, ref, inUse);
    untag(context, image, name, removed);
    // Digest references of a repository go with its last tag.
    const repository = repositoryOf(name);
    if (!name.includes('@') && !tagsLeft.some((other) => repositoryOf(other) === repository)) {
      for (const digest of allNames.filter(
        (other) => other.includes('@') && repositoryOf(other) === repository,
      )) {
        untag(context, image, digest, removed);
      }
    }
    if (index.namesOf(image.id).length > 0) return removed;
  } else {
    if (!isSingleReference(allNames) && !options.force) {
      throw new DaemonError(
        'Conflict',
        `conflict: unable to delete ${short(image.id)} (must be forced) - image is referenced in multiple repositories`,
      );
    }
    refuseDeletion(context, image, options.force, inUse);
    for (const each of allNames) untag(context, image, each, removed);
  }
  try {
    refuseDeletion(context, image, options.force, inUse);
  } catch (error) {
    // By name the name is what was to go; the image stays, nameless, for those that stand on it.
    if (name !== undefined) return removed;
    throw error;
  }
  await deleteImage(context, image, removed, options.prune, inUse);
  return removed;
}

/** Deletes an image that has no name, and, with `prune`, parents that are left without name and use. */
export async function deleteImage(
  context: RemoveContext,
  image: Image,
  removed: RemovedItem[],
  prune: boolean,
  inUse: ImageUse,
): Promise<void> {
  const { index, layers } = context;
  index.remove(image.id);
  removed.push({ Deleted: image.id });
  context.publish('delete', image.id, { name: image.id });
  const others = index.list();
  const usedChains = new Set(others.flatMap((other) => chainIds(other.config.rootfs.diff_ids)));
  const usedLayers = new Set(others.flatMap((other) => other.config.rootfs.diff_ids));
  const diffIds = image.config.rootfs.diff_ids;
  const chains = chainIds(diffIds);
  for (let i = chains.length - 1; i >= 0; i -= 1) {
    const chain = chains[i] ?? '';
    const diffId = diffIds[i] ?? '';
    if (!usedChains.has(chain) && !layers.isReferenced(diffId)) removed.push({ Deleted: chain });
    if (!usedLayers.has(diffId)) await layers.remove(diffId);
  }
  const parent = prune && image.parentId !== '' ? index.byId(image.parentId) : undefined;
  if (parent === undefined) return;
  const free = index.namesOf(parent.id).length === 0 && index.children(parent.id).length === 0;
  if (free && inUse(parent.id).length === 0) await deleteImage(context, parent, removed, prune, inUse);
}

function untag(context: RemoveContext, image: Image, name: string, removed: RemovedItem[]): void {
  context.index.removeName(name);
  removed.push({ Untagged: name });
  context.publish('untag', image.id, { name: image.id });
}

/** The tag or digest that `ref` names; undefined when it is (part of) an id. */
function namedBy(ref: string, image: Image): string | undefined {
  const id = image.id.replace(/^sha256:/, '');
  try {
    const name = familiarReference(parseReference(ref));
    if (image.repoTags.includes(name) || image.repoDigests.includes(name)) return name;
  } catch {
    // an id with its algorithm
  }
  return id.startsWith(ref.replace(/^sha256:/, '')) ? undefined : ref;
}

/** One name, or one tag and the digest it was pulled by. */
function isSingleReference(names: readonly string[]): boolean {
  if (names.length <= 1) return true;
  const digests = names.filter((name) => name.includes('@'));
  return names.length === 2 && digests.length === 1 && new Set(names.map(repositoryOf)).size === 1;
}

function repositoryOf(name: string): string {
  return familiarName(parseReference(name));
}

function refuseWhileUsedByName(image: Image, ref: string, inUse: ImageUse): void {
  const [use] = inUse(image.id);
  if (use === undefined) return;
  throw new DaemonError(
    'Conflict',
    `conflict: unable to remove repository reference "${ref}" (must force) - ` +
      `container ${short(use.containerId)} is using its referenced image ${short(image.id)}`,
  );
}

function refuseDeletion(context: RemoveContext, image: Image, force: boolean, inUse: ImageUse): void {
  const prefix = `conflict: unable to delete ${short(image.id)}`;
  if (context.index.children(image.id).length > 0) {
    throw new DaemonError('Conflict', `${prefix} (cannot be forced) - image has dependent child images`);
  }
  const uses = inUse(image.id);
  const running = uses.find((use) => use.running);
  if (running !== undefined) {
    throw new DaemonError(
      'Conflict',
      `${prefix} (cannot be forced) - image is being used by running container ${short(running.containerId)}`,
    );
  }
  const stopped = uses[0];
  if (stopped !== undefined && !force) {
    throw new DaemonError(
      'Conflict',
      `${prefix} (must be forced) - image is being used by stopped container ${short(stopped.containerId)}`,
    );
  }
}
