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
    const uid = await lookUp(tree, layers, 'etc/passwd', user);
    if (uid === undefined) throw new Error(`can't find uid for user ${user}: no such user: ${user}`);
    const gid = await lookUp(tree, layers, 'etc/group', group);
    if (gid === undefined) throw new Error(`can't find gid for group ${group}: no such group: ${group}`);
    return { uid, gid };
  } catch (error) {
    const message = `unable to convert uid/gid chown string to host mapping: ${errorMessage(error)}`;
    throw new DaemonError('Internal', message, { cause: error });
  }
}

async function lookUp(
  tree: FileTree,
  layers: LayerReader,
  path: string,
  name: string,
): Promise<number | undefined> {
  if (/^[+-]?\d{1,10}$/.test(name)) return Number(name);
  const node = tree.find(path);
  if (node?.kind !== 'file') return undefined;
  const text = (await readSmallFile(layers, node, maxFileBytes)).toString();
  for (const line of text.split('\n')) {
    const [known, , id = ''] = line.trim().split(':');
    if (known === name && /^\d{1,10}$/.test(id)) return Number(id);
  }
  return undefined;
}
