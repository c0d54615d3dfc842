// A Pod from a file, as JSON or YAML: in the form of /v1/pods, or in HyperContainer's.

import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { errorMessage } from '../../errors';
import { checkRequest } from '../../api/v1/schemas';
import type { PodTemplate } from '../../api/v1/types';
import { buildEntry, emptyEntry, padding } from '../../storage/tar/tar-header';
import { readStandardInput } from './standard-input';
import { readHyperPod, type ContainerFile, type PodFile } from './hyper-pod';

/** `-` is standard input; `name` is instead of the file's. Throws what is wrong with it, with the path of the field. */
export async function readPodFile(path: string, name?: string): Promise<PodFile> {
  const text = path === '-' ? await readStandardInput() : await readFile(path, 'utf8');
  try {
    return await parsePodFile(text, name);
  } catch (error) {
    throw new Error(`${path}: ${errorMessage(error)}`, { cause: error });
  }
}

/** Ours gives each container's body, HyperContainer's its image. */
export async function parsePodFile(text: string, name?: string): Promise<PodFile> {
  const given: unknown = parse(text);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new Error('this is no Pod');
  const { kind, apiVersion, containers } = given as Record<string, unknown>;
  if (kind !== undefined && apiVersion !== undefined) {
    throw new Error('this is a manifest of Kubernetes: give it to "caisson play"');
  }
  const isOurs =
    Array.isArray(containers) &&
    containers.some(
      (container) => typeof container === 'object' && container !== null && 'body' in container,
    );
  if (!isOurs) return readHyperPod(name === undefined ? given : { ...given, id: undefined, name });
  const value = name === undefined ? given : { ...given, name };
  return { template: checkRequest('PodTemplate', value) as PodTemplate, files: [] }; // the schema decides
}

/** What PUT /containers/ID/archive takes at `/`. */
export function filesArchive(files: readonly ContainerFile[]): Buffer {
  const mtime = Math.floor(Date.now() / 1000);
  const entries = files.map(({ path, content, mode, uid, gid }) => {
    const name = Buffer.from(path.slice(1)).toString('latin1');
    const header = buildEntry(emptyEntry({ name, mode, uid, gid, mtime, size: content.length }));
    return Buffer.concat([header, content, padding(content.length)]);
  });
  return Buffer.concat([...entries, Buffer.alloc(endOfArchiveBytes)]);
}

/** Two empty blocks. */
const endOfArchiveBytes = 1024;
