import { Readable } from 'node:stream';

import { applyArchive, applyLayer, readEntries } from '../../../src/builder/archive-tree';
import { FileTree, walk } from '../../../src/builder/file-tree';
import { TreeChanges } from '../../../src/builder/tree-changes';
import { makeTar, type TarItem } from '../../support/images/tar-maker';

const archive = { kind: 'layer', diffId: 'x' } as const;
const entriesOf = (items: readonly TarItem[]) =>
  readEntries(Readable.from([makeTar(items)], { objectMode: false }) as AsyncIterable<Buffer>);

const shown = (tree: FileTree): string[] =>
  [...walk(tree.root)].map(({ path, node }) => `${path} ${node.attributes.mode.toString(8)}`);

async function layers(...all: (readonly TarItem[])[]): Promise<string[]> {
  const tree = new FileTree();
  for (const items of all) applyLayer(tree, await entriesOf(items), archive);
  return shown(tree);
}

const lower: TarItem[] = [
  { name: 'd/', type: '5', mode: 0o700, uid: 7 },
  { name: 'd/f', data: 'x' },
];

describe('a directory that an upper layer only has names in', () => {
  test.each<[string, TarItem[], string[]]>([
    ['a whiteout', [{ name: 'd/.wh.f' }], ['d 755']],
    ['an opaque marker', [{ name: 'd/.wh..wh..opq' }], ['d 755']],
    ['a file', [{ name: 'd/g', data: 'x' }], ['d 755', 'd/f 644', 'd/g 644']],
    ['a whiteout where nothing is', [{ name: 'e/.wh.f' }], ['d 700', 'd/f 644', 'e 755']],
  ])('of %s is a new one', async (_what, items, expected) => {
    expect(await layers(lower, items)).toEqual(expected);
  });

  test('is what its entry says, wherever that stands', async () => {
    const entry: TarItem = { name: 'd/', type: '5', mode: 0o711 };
    expect(await layers(lower, [entry, { name: 'd/.wh.f' }])).toEqual(['d 711']);
    expect(await layers(lower, [{ name: 'd/.wh.f' }, entry])).toEqual(['d 711']);
  });
});

test.each(['../f', 'a/../../f', '/../f'])('%s stays inside', async (name) => {
  const items = [{ name, data: 'x' }];
  expect(await layers(items)).toEqual(['f 644']);
  const tree = new FileTree();
  const changes = new TreeChanges(tree);
  changes.makeDirectories('in');
  applyArchive(changes, 'in', await entriesOf(items), archive);
  expect(shown(tree)).toEqual(['in 755', 'in/f 644']);
});

describe('a path', () => {
  const treeWith = async (...items: TarItem[]): Promise<FileTree> => {
    const tree = new FileTree();
    applyLayer(tree, await entriesOf(items), archive);
    return tree;
  };

  test.each([
    ['l/f', 'd/f'],
    ['d/../l/./f', 'd/f'],
    ['up/f', 'd/f'],
    ['../../l', 'd'],
    ['l/none/f', 'd/none/f'],
    ['none/../d/up', 'd'],
  ])('%s leads to %s', async (path, expected) => {
    const tree = await treeWith(
      ...lower,
      { name: 'l', type: '2', link: 'd' },
      { name: 'up', type: '2', link: '/l' },
      { name: 'd/up', type: '2', link: '../d' },
    );
    expect(tree.resolve(path)).toBe(expected);
    expect(tree.resolve('../f', { scope: 'd' })).toBe('d/f');
    expect(tree.resolve('l', { keepLast: true })).toBe('l');
  });

  test('of however many parts is no work for minutes', async () => {
    const tree = await treeWith({ name: 'l', type: '2', link: 'x/'.repeat(2000) });
    const deep = '**/'.repeat(300_000);
    expect(tree.resolve(deep)).toHaveLength(deep.length - 1);
    expect(tree.resolve('l/l/'.repeat(10_000))).toContain('x/x/l/l/');
  });
});
