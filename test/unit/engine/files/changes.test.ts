import { withoutMountPoints } from '../../../../src/engine/files/changes';
import type { FilesystemChange } from '../../../../src/docker/types';

const changes = (...paths: string[]): FilesystemChange[] =>
  paths.map((text) => ({ Path: text.slice(1), Kind: text.startsWith('A') ? 1 : 0 }));

test.each([
  ['nothing mounted', ['A/work', 'A/work/dir'], [], ['A/work', 'A/work/dir']],
  [
    'mount points, and what leads to them',
    ['A/bind', 'A/dir', 'A/dir/deep', 'C/usr', 'A/usr/v'],
    ['/bind', '/dir/deep', '/usr/v'],
    [],
  ],
  [
    'other changes beside them',
    ['A/dir', 'A/dir/deep', 'A/dir/file'],
    ['/dir/deep'],
    ['A/dir', 'A/dir/file'],
  ],
  ['names that only begin alike', ['A/v', 'A/vol', 'A/volume'], ['/vol'], ['A/v', 'A/volume']],
  ['one mount in another', ['A/a', 'A/a/b'], ['/a', '/a/b'], []],
])('%s', (_name, from, targets, shown) => {
  expect(withoutMountPoints(changes(...from), targets)).toEqual(changes(...shown));
});
