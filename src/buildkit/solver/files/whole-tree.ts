// A whole tree as what would become a layer on nothing.

import { FileTree, joinPath, type FileNode, type TreeNode } from '../../../builder/file-tree';
import { TreeChanges } from '../../../builder/tree-changes';

/** The tree stays as it is: hard links are links of copies. */
export function changesOf(tree: FileTree): TreeChanges {
  const changes = new TreeChanges(new FileTree());
  const copies = new Map<FileNode, FileNode>();
  const add = (path: string, node: TreeNode): void => {
    if (node.kind === 'file') {
      const copy = copies.get(node) ?? { ...node };
      copies.set(node, copy);
      changes.setFile(path, copy);
      return;
    }
    if (path !== '') changes.setDirectory(path, node.attributes);
    for (const [name, child] of node.children) add(joinPath(path, name), child);
  };
  add('', tree.root);
  return changes;
}
