// Docker's DELETE /images and prune: what they untag, what they delete, and when they refuse (checked against 20.10).

import { DaemonError } from '../../errors';
import { familiarReference, parseReference } from '../../registry/reference';
import type { Image } from '../contract/image';
import { chainIds, type ImageIndex } from './image-index';
import { removeUnused, type RemovableLayers } from './layer-garbage';

export type ImageUse = (imageId: string) => { containerId: string; running: boolean }[];
export interface RemovedItem {
  Untagged?: string;
  Deleted?: string;
}

export interface RemoveContext {
  index: ImageIndex;
  layers: RemovableLayers & { sizeBytes(diffId: string): number; isReferenced(diffId: string): boolean };
  inUse: ImageUse;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

/** Hard ones stand whatever is forced. */
interface RemoveConflict {
  hard: boolean;
  /** By a container. */
  isUse: boolean;
  message: string;
}

const short = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);
const repositoryOf = (name: string): string => name.replace(/@.*$|:[^/:]*$/, '');
const isDigestName = (name: string): boolean => name.includes('@');

export async function removeImage(
  context: RemoveContext,
  ref: string,
  options: { force: boolean; prune: boolean },
): Promise<RemovedItem[]> {
  const { index, inUse } = context;
  const image = index.get(ref);
  const removed: RemovedItem[] = [];
  const ofIndex = index.namesOf(image.id).flatMap((name) => index.imagesOfIndex(name));
  const byId = isIdPrefix(ref, image.id);
  if (byId) {
    if (isOneReference(index.namesOf(image.id))) {
      const conflict = findConflict(context, image, { soft: !options.force, names: false });
      if (conflict !== undefined) throw conflictError(image, conflict);
      untagAll(context, image, removed);
    }
  } else {
    const [use] = inUse(image.id);
    if (!options.force && use !== undefined && isOneReference(index.namesOf(image.id))) {
      throw new DaemonError(
        'Conflict',
        `conflict: unable to remove repository reference ${JSON.stringify(ref)} (must force) - ` +
          `container ${short(use.containerId)} is using its referenced image ${short(image.id)}`,
      );
    }
    untagOne(context, image, familiarReference(parseReference(ref)), removed);
  }
  const others = ofIndex.filter((id) => id !== image.id && index.namesOf(id).length === 0);
  if (byId || index.namesOf(image.id).length === 0)
    await deleteImage(context, image, { ...options, quiet: !byId }, removed);
  for (const id of others) await deleteMember(context, id, removed);
  return removed;
}

/** Of an index that is gone: it goes too, unless something else needs it. */
async function deleteMember(context: RemoveContext, id: string, removed: RemovedItem[]): Promise<void> {
  const { index } = context;
  const image = index.byId(id);
  if (image === undefined || index.isOfIndex(id)) return;
  await deleteImage(context, image, { force: false, prune: true, quiet: true }, removed);
}

/** Untags and deletes what `isCandidate` picks, unless something needs it. */
export async function pruneImages(
  context: RemoveContext,
  options: { all: boolean; filters: (image: Image) => boolean },
): Promise<{ deleted: RemovedItem[]; reclaimedBytes: number }> {
  const { index, layers } = context;
  const deleted: RemovedItem[] = [];
  const sizes = new Map<string, number>();
  for (const image of index.list()) {
    const diffIds = image.config.rootfs.diff_ids;
    for (const [i, chain] of chainIds(diffIds).entries())
      sizes.set(chain, layers.sizeBytes(diffIds[i] ?? ''));
  }
  for (const { id } of index.list()) {
    const image = index.byId(id); // may be gone, with its child
    if (image === undefined || image.isOfIndex === true || !options.filters(image)) continue;
    const names = index.namesOf(id);
    if (index.children(id).length > 0 && (names.length === 0 || !options.all)) continue;
    if (!options.all && names.some((name) => !isDigestName(name))) continue;
    // One reference after the other, as Docker: what a container needs stops the last one only.
    for (const ref of names.length === 0 ? [id] : names) {
      try {
        deleted.push(...(await removeImage(context, ref, { force: false, prune: true })));
      } catch (error) {
        const isExpected = error instanceof DaemonError && ['Conflict', 'NotFound'].includes(error.code);
        if (!isExpected) throw error;
      }
    }
  }
  const reclaimedBytes = deleted.reduce((sum, item) => sum + (sizes.get(item.Deleted ?? '') ?? 0), 0);
  return { deleted, reclaimedBytes };
}

/** `quiet`: the name was what had to go; an image that is still needed stays without one. */
async function deleteImage(
  context: RemoveContext,
  image: Image,
  options: { force: boolean; prune: boolean; quiet: boolean },
  removed: RemovedItem[],
): Promise<void> {
  const { index, layers } = context;
  const conflict = findConflict(context, image, { soft: !options.force, names: true });
  if (conflict !== undefined) {
    const isDangling = index.namesOf(image.id).length === 0 && index.children(image.id).length === 0;
    if (options.quiet && (!isDangling || conflict.isUse)) return;
    throw conflictError(image, conflict);
  }
  untagAll(context, image, removed);
  index.remove(image.id);
  context.publish('delete', image.id, { name: image.id });
  removed.push({ Deleted: image.id });
  const diffIds = image.config.rootfs.diff_ids;
  const shared = index.sharedLayers(diffIds);
  for (const [i, chain] of [...chainIds(diffIds).entries()].reverse()) {
    if (i >= shared && !layers.isReferenced(diffIds[i] ?? '')) removed.push({ Deleted: chain });
  }
  await removeUnused(context, diffIds);
  const parent = options.prune && image.parentId !== '' ? index.byId(image.parentId) : undefined;
  if (parent !== undefined) {
    await deleteImage(context, parent, { force: false, prune: true, quiet: true }, removed);
  }
}

function findConflict(
  { index, inUse }: RemoveContext,
  image: Image,
  look: { soft: boolean; names: boolean },
): RemoveConflict | undefined {
  if (index.children(image.id).length > 0) {
    return { hard: true, isUse: false, message: 'image has dependent child images' };
  }
  if (index.isOfOthersIndex(image.id)) {
    return { hard: true, isUse: true, message: 'image belongs to a manifest list that has a name' };
  }
  const uses = inUse(image.id);
  const running = uses.find((use) => use.running);
  if (running !== undefined) {
    const message = `image is being used by running container ${short(running.containerId)}`;
    return { hard: true, isUse: true, message };
  }
  if (!look.soft) return undefined;
  if (look.names && index.namesOf(image.id).length > 0) {
    return { hard: false, isUse: false, message: 'image is referenced in multiple repositories' };
  }
  const [stopped] = uses;
  if (stopped === undefined) return undefined;
  const message = `image is being used by stopped container ${short(stopped.containerId)}`;
  return { hard: false, isUse: true, message };
}

function conflictError(image: Image, { hard, message }: RemoveConflict): DaemonError {
  const how = hard ? 'cannot be forced' : 'must be forced';
  return new DaemonError('Conflict', `conflict: unable to delete ${short(image.id)} (${how}) - ${message}`);
}

/** Takes a name away; a repository's digests go with its last tag. */
function untagOne(context: RemoveContext, image: Image, name: string, removed: RemovedItem[]): void {
  untag(context, image, name, removed);
  if (isDigestName(name)) return;
  const left = context.index.namesOf(image.id).filter((other) => repositoryOf(other) === repositoryOf(name));
  if (left.every(isDigestName)) for (const digest of left) untag(context, image, digest, removed);
}

function untagAll(context: RemoveContext, image: Image, removed: RemovedItem[]): void {
  for (const name of context.index.namesOf(image.id)) untag(context, image, name, removed);
}

function untag(context: RemoveContext, image: Image, name: string, removed: RemovedItem[]): void {
  context.index.removeName(name);
  removed.push({ Untagged: name });
  context.publish('untag', image.id, { name: image.id });
}

/** At most one tag, and digests of its repository only. */
function isOneReference(names: readonly string[]): boolean {
  if (names.length <= 1) return true;
  const tags = names.filter((name) => !isDigestName(name));
  const repositories = new Set(names.map(repositoryOf));
  return tags.length <= 1 && repositories.size === 1;
}

function isIdPrefix(ref: string, id: string): boolean {
  return id.startsWith(ref) || id.slice('sha256:'.length).startsWith(ref);
}
