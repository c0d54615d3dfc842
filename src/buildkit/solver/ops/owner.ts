// Owners that file actions name: numbers, or names looked up in the files of an image.

import type { Identity } from '../../../builder/copy';
import { readSmallFile, type LayerReader } from '../../../builder/file-contents';
import type { FileTree } from '../../../builder/file-tree';
import { BuildError } from '../../contract/errors';
import type { ChownOpt } from '../../contract/llb';

const maxFileBytes = 4 * 1024 * 1024;

type UserOpt = ChownOpt['user'];

/** Undefined where nobody is named. `inputs` are trees of the operation's inputs, asked for when a name is looked up. */
export async function ownerOf(
  owner: ChownOpt | undefined,
  inputs: (index: number) => Promise<FileTree>,
  layers: LayerReader,
): Promise<Identity | undefined> {
  if (owner === undefined) return undefined;
  const user = await lookUp(owner.user, 'etc/passwd', 'user', inputs, layers);
  const group = await lookUp(owner.group, 'etc/group', 'group', inputs, layers);
  // a user that is named brings its own group
  const uid = user?.id ?? 0;
  return { uid, gid: group?.id ?? user?.group ?? 0 };
}

async function lookUp(
  option: UserOpt,
  path: string,
  kind: 'user' | 'group',
  inputs: (index: number) => Promise<FileTree>,
  layers: LayerReader,
): Promise<{ id: number; group: number | undefined } | undefined> {
  const choice = option?.user;
  if (choice === undefined) return undefined;
  if (choice.kind === 'byID') return { id: choice.value, group: undefined };
  const { name, input } = choice.value;
  if (/^\d{1,10}$/.test(name)) return { id: Number(name) >>> 0, group: undefined };
  const node = input < 0 ? undefined : (await inputs(input)).find(path);
  if (node?.kind === 'file') {
    const text = (await readSmallFile(layers, node, maxFileBytes)).toString();
    for (const line of text.split('\n')) {
      const [known, , id = '', group = ''] = line.trim().split(':');
      if (known !== name || !/^\d{1,10}$/.test(id)) continue;
      return {
        id: Number(id),
        group: kind === 'user' && /^\d{1,10}$/.test(group) ? Number(group) : undefined,
      };
    }
  }
  throw new BuildError(
    'NotFound',
    `unable to find ${kind} ${name.slice(0, 256)}: no matching entries in ${kind === 'user' ? 'passwd' : 'group'} file`,
  );
}
