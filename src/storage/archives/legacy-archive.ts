// Archives as Docker wrote them before 1.10, without manifest.json: a directory for each layer, with the configuration of
// the image that it tops, and `repositories` with the names. dockerd makes an image of each directory.

import { DaemonError } from '../../errors';
import { map, string, stringMap, struct } from '../../go/json-schema';
import { familiarReference, parseReference } from '../../registry/reference';
import type { ArchiveFile } from './archive-file';
import type { ImageConfig } from '../../docker/image-config';
import { v1ImageSchema } from '../images/image-schema';
import { holdingLayers } from '../images/layer-garbage';
import { requireLayerDepth } from '../layers/layer-store';
import {
  decodeAs,
  parsedJson,
  setLoadedName,
  storeLayer,
  type LoadContext,
  type LoadOptions,
} from './load-steps';
import { goJson, goTime, imageMembers, sorted } from '../images/v1-image';

/** What a directory is called, and what its `json` says. */
interface LegacyLayer {
  name: string;
  json: unknown;
  parent: string;
}

type Members = Record<string, unknown>;
type V1Config = Omit<ImageConfig, 'rootfs'>;

const headSchema = struct<Record<string, string>>('struct { OS string; Parent string }', {
  OS: string,
  Parent: string,
});
const repositoriesSchema = map(stringMap, 'map[string]map[string]string');
/** Not of the image, and so not of its configuration. */
const layerMembers = new Set(['id', 'parent', 'Size', 'parent_id', 'layer_id', 'throwaway']);
/** Since then Docker keeps members that it does not know. */
const keepsUnknown = [1, 8, 3];

export async function loadLegacyArchive(
  context: LoadContext,
  archive: ArchiveFile,
  options: LoadOptions,
): Promise<void> {
  /** Ids of images, by their directories. */
  const loaded = new Map<string, string>();
  for (const name of archive.directories()) {
    for (const layer of await missingLayers(archive, name, loaded))
      loaded.set(layer.name, await loadLayer(context, archive, layer, loaded.get(layer.parent), options));
  }
  const repositories = decodeAs(repositoriesSchema, await archive.json('repositories')) ?? {};
  for (const [name, tags] of Object.entries(repositories as Record<string, Record<string, string> | null>)) {
    for (const [tag, directory] of Object.entries(tags ?? {})) {
      const id = loaded.get(directory);
      if (id === undefined) throw new DaemonError('Internal', `invalid target ID: ${directory}`);
      setLoadedName(context, { id }, nameOf(name, tag), options.progress);
    }
  }
}

/** A layer and those below it that are not loaded yet, the lowest first. */
async function missingLayers(
  archive: ArchiveFile,
  top: string,
  loaded: ReadonlyMap<string, string>,
): Promise<LegacyLayer[]> {
  const layers: LegacyLayer[] = [];
  for (let name = top; name !== '' && !loaded.has(name);) {
    if (layers.some((layer) => layer.name === name))
      throw new DaemonError('Internal', `invalid archive: ${name} is its own parent`);
    const json = parsedJson(await archive.text(`${name}/json`));
    const { OS = '', Parent = '' } = (decodeAs(headSchema, json) ?? {}) as Record<string, string>;
    if (OS !== '' && OS.toLowerCase() !== 'linux')
      throw new DaemonError('Internal', `cannot load ${OS} image on linux`);
    layers.unshift({ name, json, parent: Parent });
    name = Parent;
  }
  return layers;
}

/** Resolves with the id of the image that the layer is the top of. */
async function loadLayer(
  context: LoadContext,
  archive: ArchiveFile,
  { name, json }: LegacyLayer,
  parentId: string | undefined,
  options: LoadOptions,
): Promise<string> {
  const parent = parentId === undefined ? undefined : context.index.get(parentId).config;
  return holdingLayers(context, [], async (onDiffId) => {
    const member = { name: `${name}/layer.tar`, id: name.slice(0, 12), onDiffId };
    const { diffId } = await storeLayer(context, archive, member, options);
    const diffIds = [...(parent?.rootfs.diff_ids ?? []), diffId];
    requireLayerDepth(diffIds);
    const config = (decodeAs(v1ImageSchema, json) ?? {}) as V1Config;
    const members: Members = {
      ...(isSince(config.docker_version ?? '', keepsUnknown) ? (json as Members) : imageMembers(config)),
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: [...(parent?.history ?? []), historyOf(config)],
    };
    const kept = Object.fromEntries(Object.entries(members).filter(([key]) => !layerMembers.has(key)));
    const { id } = context.index.add(goJson(sorted(kept)));
    if (parentId !== undefined) context.index.setParent(id, parentId);
    return id;
  });
}

function historyOf({ author, comment, created, container_config }: V1Config): Members {
  const texts = { author, created_by: (container_config?.Cmd ?? []).join(' '), comment };
  return {
    created: goTime(created),
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text !== '')),
  };
}

/** What is no number in a version is 0, as with Docker: `20.10.24+dfsg1`. */
function isSince(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
  const i = least.findIndex((number, at) => (parts[at] ?? 0) !== number);
  return i < 0 || (parts[i] ?? 0) > (least[i] ?? 0);
}

function nameOf(name: string, tag: string): string {
  const reference = parseReference(name);
  if (!/^\w[\w.-]{0,127}$/.test(tag)) throw new DaemonError('Internal', 'invalid tag format');
  return familiarReference({ ...reference, tag });
}
