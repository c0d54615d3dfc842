// `--chown`: names looked up in the image's own passwd and group files.

import { DaemonError, errorMessage } from '../errors';
import type { Identity } from './copy';
import { readSmallFile, type LayerReader } from './file-contents';
import type { FileTree } from './file-tree';

const maxFileBytes = 4 * 1024 * 1024;

/** `user`, `user:group`, by name or number; a user alone names its group too. Throws in dockerd's words. */
export async function parseChown(text: string, tree: FileTree, layers: LayerReader): Promise<Identity> {
  try {
    const parts = text.split(':');
    if (parts.length > 2) throw new Error(`invalid chown string format: ${text}`);
    const [user = '', group = user] = parts;
    return {
      uid: asGiven(await lookUp(tree, layers, { path: 'etc/passwd', kind: 'user', id: 'uid', name: user })),
      gid: asGiven(await lookUp(tree, layers, { path: 'etc/group', kind: 'group', id: 'gid', name: group })),
    };
  } catch (error) {
    const message = `unable to convert uid/gid chown string to host mapping: ${errorMessage(error)}`;
    throw new DaemonError('Internal', message, { cause: error });
  }
}

/** As chown(2) takes a number: 32 bits of it, and -1 leaves what is copied with root. */
function asGiven(id: number): number {
  const bits = id >>> 0;
  return bits === 0xffff_ffff ? 0 : bits;
}

async function lookUp(
  tree: FileTree,
  layers: LayerReader,
  { path, kind, id: idName, name }: Record<'path' | 'kind' | 'id' | 'name', string>,
): Promise<number> {
  if (/^[+-]?\d{1,10}$/.test(name)) return Number(name);
  const node = tree.find(path);
  const missing = `can't find ${idName} for ${kind} ${name}`;
  if (node?.kind !== 'file') throw new Error(`${missing}: open /${path}: no such file or directory`);
  const text = (await readSmallFile(layers, node, maxFileBytes)).toString();
  for (const line of text.split('\n')) {
    const [known, , id = ''] = line.trim().split(':');
    if (known === name && /^\d{1,10}$/.test(id)) return Number(id);
  }
  throw new Error(`${missing}: no such ${kind}: ${name}`);
}
