// The changes to a tree as the tar of a layer (OCI image-spec, "Layer Filesystem Changeset").

import { buildEntry, emptyEntry, padding, tarBlock, type TarEntry } from '../storage/tar/tar-header';
import { readContents, type LayerReader } from './file-contents';
import { baseOf, joinPath, parentOf, type FileNode, type TreeNode } from './file-tree';
import type { TreeChanges } from './tree-changes';

/** Ends with the archive's end mark. Reads contents as they are wanted. */
export async function* layerStream(
  changes: TreeChanges,
  layers: LayerReader,
): AsyncGenerator<Buffer, void, undefined> {
  const links: { path: string; node: FileNode; target: string }[] = [];
  const names = new Map<FileNode, string>();
  for (const { path, node } of changes.entries()) {
    if (node.kind === 'directory') {
      yield buildEntry({ ...headerOf(`${path}/`, node), type: '5' });
      if (changes.isOpaque(path)) yield buildEntry(emptyEntry({ name: `${path}/.wh..wh..opq`, type: '0' }));
      continue;
    }
    const first = names.get(node);
    if (first !== undefined) links.push({ path, node, target: first });
    else {
      names.set(node, path);
      if (node.data === undefined) yield buildEntry({ ...headerOf(path, node), ...special(node) });
    }
  }
  for (const path of changes.whiteouts) {
    const name = joinPath(parentOf(path), `.wh.${baseOf(path)}`);
    yield buildEntry(emptyEntry({ name, type: '0' }));
  }
  let open: FileNode | undefined;
  for await (const { node, chunk, last } of readContents(layers, names.keys())) {
    if (open !== node) {
      yield buildEntry({ ...headerOf(names.get(node) ?? '', node), type: '0', size: node.size });
    }
    open = node;
    if (chunk.length > 0) yield chunk;
    if (last) yield padding(node.size);
  }
  // With the file's attributes: dockerd sets what such an entry says on the file.
  for (const { path, node, target } of links)
    yield buildEntry({ ...headerOf(path, node), type: '1', link: target });
  yield Buffer.alloc(2 * tarBlock);
}

function headerOf(name: string, { attributes }: TreeNode): TarEntry {
  const { mode, uid, gid, mtime, xattrs } = attributes;
  return emptyEntry({ name, mode, uid, gid, mtime, records: new Map(xattrs) });
}

function special({ type, link, deviceMajor, deviceMinor }: FileNode): Partial<TarEntry> {
  return { type, link, deviceMajor, deviceMinor };
}
