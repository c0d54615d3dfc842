// What the mounts of a step have in them, as tars whose one name is `content`: a directory with all that is in it, or a file.

import { Readable } from 'node:stream';
import { applyLayer } from '../../builder/archive-tree';
import type { LayerReader } from '../../builder/file-contents';
import { FileTree, newDirectory, walk, type FileNode, type TreeNode } from '../../builder/file-tree';
import type { LayerIndexes } from '../../builder/image-files';
import { layerStream } from '../../builder/layer-stream';
import { TreeChanges } from '../../builder/tree-changes';
import { BuildError } from '../../buildkit/contract/errors';
import { buildEntry, emptyEntry, padding, tarBlock } from '../../storage/tar/tar-header';
import { openCache } from './cache-tars';
import { contentName, type FilledMount } from './step-pod';

export interface MountFilesNeeds {
  layers: LayerReader;
  indexes: LayerIndexes;
}

/** Rejects with NotFound for a selector that leads to nothing. */
export async function mountFiles(needs: MountFilesNeeds, { mount }: FilledMount): Promise<Readable> {
  switch (mount.kind) {
    case 'layers':
      return layerFiles(needs, mount.diffIds, mount.selector);
    case 'cache': {
      const kept = await openCache(mount.diskPath, mount.selector);
      return kept ?? layerFiles(needs, mount.fill ?? [], mount.selector, true);
    }
    case 'secret': {
      const { content, uid, gid, mode } = mount;
      const header = emptyEntry({ name: contentName, type: '0', size: content.length, uid, gid, mode });
      return Readable.from(
        [buildEntry(header), content, padding(content.length), Buffer.alloc(2 * tarBlock)],
        { objectMode: false },
      );
    }
  }
}

async function layerFiles(
  { layers, indexes }: MountFilesNeeds,
  diffIds: readonly string[],
  selector: string,
  isMade = false,
): Promise<Readable> {
  const tree = new FileTree();
  for (const diffId of diffIds) applyLayer(tree, await indexes.of(diffId), { kind: 'layer', diffId });
  const node =
    tree.find(Buffer.from(selector, 'utf8').toString('latin1')) ?? (isMade ? newDirectory() : undefined);
  if (node === undefined) throw new BuildError('NotFound', `"${selector}": not found`);
  return Readable.from(layerStream(contentOf(node), layers), { objectMode: false });
}

/** Hard links within it stay links. */
function contentOf(node: TreeNode): TreeChanges {
  const changes = new TreeChanges(new FileTree());
  const copies = new Map<FileNode, FileNode>();
  const add = (path: string, each: TreeNode): void => {
    if (each.kind === 'directory') {
      changes.setDirectory(path, each.attributes);
      return;
    }
    const copy = copies.get(each) ?? { ...each };
    copies.set(each, copy);
    changes.setFile(path, copy);
  };
  add(contentName, node);
  if (node.kind === 'directory')
    for (const { path, node: below } of walk(node)) add(`${contentName}/${path}`, below);
  return changes;
}
