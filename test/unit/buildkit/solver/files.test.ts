import fc from 'fast-check';

import { PatternList } from '../../../../src/buildkit/llb/patterns';
import { parseMode } from '../../../../src/buildkit/solver/ops/symbolic-mode';
import { TarParser } from '../../../../src/storage/tar/tar-parser';
import {
  copy,
  FakeDaemon,
  FakeHost,
  FakeSession,
  file,
  image,
  local,
  op,
  sessionsOf,
  tarOf,
} from './fake-host';

let host: FakeHost;
let daemon: FakeDaemon;
beforeEach(() => {
  host = new FakeHost();
  host.addImage('base', {
    etc: null,
    'etc/passwd': 'root:x:0:0::/:\nweb:x:33:44::/:\n',
    'etc/group': 'root:x:0:\nstaff:x:50:\n',
    dir: null,
    'dir/old': 'old',
    link: { type: '2', link: 'dir' },
  });
  host.addImage('src', {
    'a.txt': 'a',
    'b.txt': 'b',
    'c.md': 'c',
    tree: null,
    'tree/x.go': 'x',
    'tree/deep': null,
    'tree/deep/y.go': 'y',
    'tree/deep/z.txt': 'z',
    alias: { type: '2', link: 'tree' },
    'packed.tar': tarOf({ inside: 'unpacked' }).toString('latin1'),
  });
  daemon = new FakeDaemon(host);
});
afterEach(() => host.remove());

/** What of a result wasn't in `base`. */
async function added(graph: Parameters<FakeDaemon['filesOf']>[0]): Promise<Record<string, string>> {
  const before = await daemon.filesOf(image('base'));
  const after = await daemon.filesOf(graph);
  return Object.fromEntries(Object.entries(after).filter(([path, content]) => before[path] !== content));
}

/** Names in the last layer, with owner and mode. */
async function lastLayer(graph: Parameters<FakeDaemon['layersOf']>[0]): Promise<Record<string, string>> {
  const diffId = (await daemon.layersOf(graph)).at(-1) ?? '';
  const names: Record<string, string> = {};
  const parser = new TarParser({
    entry: ({ name, uid, gid, mode }) => {
      names[name] = `${uid}:${gid} ${mode.toString(8)}`;
      return false;
    },
    data: () => undefined,
  });
  parser.write(host.tars.get(diffId) ?? Buffer.alloc(0));
  return names;
}

describe('copy', () => {
  test.each<[string, string, string, object, Record<string, string>]>([
    ['a file to a name', '/a.txt', '/n', {}, { n: 'a' }],
    ['a file into a directory', '/a.txt', '/dir', {}, { 'dir/a.txt': 'a' }],
    ['a file into a directory to be made', '/a.txt', '/new/', {}, { 'new/': '', 'new/a.txt': 'a' }],
    ['a file through a link', '/a.txt', '/link/', {}, { 'dir/a.txt': 'a' }],
    ['a pattern', '/*.txt', '/p/', {}, { 'p/': '', 'p/a.txt': 'a', 'p/b.txt': 'b' }],
    ['a pattern below', '/tree/*/z.txt', '/p/', {}, { 'p/': '', 'p/z.txt': 'z' }],
    ['no match that may be', '/*.none', '/p/', { allowEmptyWildcard: true }, {}],
    [
      'contents of a directory',
      '/tree',
      '/t',
      { dirCopyContents: true },
      { 't/': '', 't/x.go': 'x', 't/deep/': '', 't/deep/y.go': 'y', 't/deep/z.txt': 'z' },
    ],
    [
      'a directory into one',
      '/tree',
      '/dir',
      { include_patterns: ['*.go'] },
      { 'dir/tree/': '', 'dir/tree/x.go': 'x' },
    ],
    ['a link itself', '/alias', '/l', {}, { l: '-> tree' }],
    [
      'what a link leads to',
      '/alias',
      '/l',
      { followSymlink: true, dirCopyContents: true, exclude_patterns: ['deep'] },
      { 'l/': '', 'l/x.go': 'x' },
    ],
    [
      'included names',
      '/tree',
      '/t',
      { include_patterns: ['**/*.go'] },
      { 't/': '', 't/x.go': 'x', 't/deep/': '', 't/deep/y.go': 'y' },
    ],
    [
      'but excluded ones',
      '/tree',
      '/t',
      { exclude_patterns: ['**/*.go', '!x.go'] },
      { 't/': '', 't/x.go': 'x', 't/deep/': '', 't/deep/z.txt': 'z' },
    ],
    [
      'an archive',
      '/packed.tar',
      '/u/',
      { attemptUnpackDockerCompatibility: true },
      { 'u/': '', 'u/inside': 'unpacked' },
    ],
    ['no archive', '/a.txt', '/u/', { attemptUnpackDockerCompatibility: true }, { 'u/': '', 'u/a.txt': 'a' }],
    ['out of the root', '/../../a.txt', '/../../n', {}, { n: 'a' }],
  ])('%s', async (_what, src, dest, more, expected) => {
    expect(await added(copy(image('base'), image('src'), src, dest, more))).toEqual(expected);
  });

  test.each<[string, string, string, object, string]>([
    ['a name that is not there', '/nothing', '/x', {}, '"/nothing": not found'],
    ['a pattern without match', '/*.none', '/x', {}, '"/*.none": not found'],
    ['a parent that is missing', '/a.txt', '/no/such', { createDestPath: false }, 'failed to stat /no'],
    [
      'a directory over a file',
      '/tree',
      '/etc/passwd',
      { dirCopyContents: true },
      'cannot copy to non-directory',
    ],
    ['a required path', '/tree', '/x', { required_paths: ['nothing'] }, '"/nothing": not found'],
    ['a mode that is none', '/a.txt', '/x', { modeStr: 'u=q' }, 'invalid chmod parameter'],
    [
      'a user that is not there',
      '/a.txt',
      '/x',
      { owner: { user: { user: { kind: 'byName', value: { name: 'nobody', input: 0 } } } } },
      'unable to find user nobody',
    ],
  ])('%s is refused', async (_what, src, dest, more, message) => {
    await expect(daemon.layersOf(copy(image('base'), image('src'), src, dest, more))).rejects.toThrow(
      message,
    );
  });

  test('owner and mode', async () => {
    const byName = (name: string): object => ({ user: { kind: 'byName', value: { name, input: 0 } } });
    const graph = (more: object): ReturnType<typeof copy> =>
      copy(image('base'), image('src'), '/a.txt', '/n/a', more);
    expect(await lastLayer(graph({}))).toMatchObject({ 'n/a': '0:0 644' });
    expect(await lastLayer(graph({ owner: { user: byName('web') }, mode: 0o600 }))).toEqual({
      'n/': '33:44 755',
      'n/a': '33:44 600',
    });
    const owner = { user: byName('web'), group: byName('staff') };
    expect(await lastLayer(graph({ owner, modeStr: 'u=rwX,go=' }))).toMatchObject({ 'n/a': '33:50 600' });
  });

  test('onto nothing needs no base', async () => {
    expect(await daemon.filesOf(copy(undefined, image('src'), '/a.txt', '/only'))).toEqual({ only: 'a' });
    expect(host.pulled).toEqual(['src']);
  });

  test('what is in the way is replaced where that is asked for', async () => {
    const more = { dirCopyContents: true, alwaysReplaceExistingDestPaths: true };
    const graph = copy(image('base'), image('src'), '/tree', '/etc/passwd', more);
    expect(await added(graph)).toMatchObject({ 'etc/passwd/x.go': 'x' });
  });
});

describe('other actions', () => {
  const mkfile = (path: string, text: string): object => ({
    kind: 'mkfile',
    value: { path, mode: 0o644, data: Buffer.from(text), timestamp: -1n },
  });
  const mkdir = (path: string, more: object = {}): object => ({
    kind: 'mkdir',
    value: { path, mode: 0o755, timestamp: -1n, ...more },
  });
  const rm = (path: string, more: object = {}): object => ({ kind: 'rm', value: { path, ...more } });
  const symlink = (oldpath: string, newpath: string): object => ({
    kind: 'symlink',
    value: { oldpath, newpath, timestamp: -1n },
  });
  const base = (...actions: object[]): ReturnType<typeof file> =>
    file(
      [image('base')],
      ...actions.map((action, i) => ({
        input: i === 0 ? 0 : i,
        output: i === actions.length - 1 ? 0 : -1,
        action: action as never,
      })),
    );

  test.each<[string, object[], Record<string, string>]>([
    ['a file', [mkfile('/dir/f', 'text')], { 'dir/f': 'text' }],
    ['a file through a link', [mkfile('/link/f', 'text')], { 'dir/f': 'text' }],
    ['directories', [mkdir('/x/y', { makeParents: true })], { 'x/': '', 'x/y/': '' }],
    ['a directory that is there', [mkdir('/dir')], {}],
    ['a link', [symlink('/etc', '/l')], { l: '-> /etc' }],
    [
      'one after the other',
      [mkdir('/x'), mkfile('/x/f', '1'), mkfile('/x/f', '2')],
      { 'x/': '', 'x/f': '2' },
    ],
    ['what is made and removed', [mkfile('/f', '1'), rm('/f')], {}],
    ['what may be missing', [rm('/no', { allowNotFound: true })], {}],
  ])('%s', async (_what, actions, expected) => {
    expect(await added(base(...actions))).toEqual(expected);
  });

  test('what is removed is hidden by the layer, and can come back', async () => {
    expect(await daemon.filesOf(base(rm('/dir')))).not.toHaveProperty('dir/');
    expect(Object.keys(await lastLayer(base(rm('/dir/o*', { allowWildcard: true }))))).toEqual([
      'dir/',
      'dir/.wh.old',
    ]);
    expect(Object.keys(await lastLayer(base(rm('/d*/o*', { allowWildcard: true }))))).toEqual([
      'dir/',
      'dir/.wh.old',
    ]);
    const again = await daemon.filesOf(base(rm('/dir'), mkdir('/dir'), mkfile('/dir/new', 'n')));
    expect(Object.keys(again).filter((path) => path.startsWith('dir'))).toEqual(['dir/', 'dir/new']);
  });

  test('of nothing a copy says what it misses, not a checksum', async () => {
    const nothing = { input: -1, secondaryInput: -1, output: 0 };
    const value = { src: '/x', dest: '/', mode: -1, timestamp: -1n };
    const graph = file([], { ...nothing, action: { kind: 'copy', value } as never });
    await expect(daemon.layersOf(graph)).rejects.toThrow(/^lstat \/x: no such file or directory/);
  });

  test.each<[string, object, string]>([
    ['a file in no directory', mkfile('/no/f', ''), 'open /no/f: no such file or directory'],
    ['a file over a directory', mkfile('/dir', ''), 'open /dir: is a directory'],
    ['a directory in no directory', mkdir('/no/d'), 'mkdir /no/d: no such file or directory'],
    ['a directory over a file', mkdir('/dir/old'), 'mkdir /dir/old: file exists'],
    ['a removal of nothing', rm('/no'), 'lstat /no: no such file or directory'],
    ['a link over a file', symlink('x', '/dir/old'), 'file exists'],
  ])('%s is refused', async (_what, action, message) => {
    await expect(daemon.layersOf(base(action))).rejects.toThrow(message);
  });
});

describe('merge and diff', () => {
  const merge = (...graphs: ReturnType<typeof image>[]): ReturnType<typeof image> =>
    op({ kind: 'merge', value: { inputs: graphs.map((_graph, input) => ({ input })) } }, graphs);
  const diff = (lower: ReturnType<typeof image>, upper: ReturnType<typeof image>): ReturnType<typeof image> =>
    op({ kind: 'diff', value: { lower: { input: 0 }, upper: { input: 1 } } }, [lower, upper]);

  test('a merge is the layers of all, and makes none', async () => {
    const before = host.tars.size;
    const layers = await daemon.layersOf(merge(image('base'), image('src')));
    expect(layers).toEqual([...(host.localImages.get('base') ?? []), ...(host.localImages.get('src') ?? [])]);
    expect(host.tars.size).toBe(before);
  });

  test('the difference to a base is what came after it', async () => {
    const upper = copy(image('base'), image('src'), '/a.txt', '/a');
    expect(await daemon.layersOf(diff(image('base'), upper))).toEqual(
      (await daemon.layersOf(upper)).slice(1),
    );
  });

  test('the difference of others is found by comparing them', async () => {
    host.addImage('one', { same: 's', changed: '1', gone: 'g', was: null, 'was/in': 'i' });
    host.addImage('two', { same: 's', changed: '2', was: 'a file', new: null, 'new/n': 'n' });
    const difference = diff(image('one'), image('two'));
    expect(await daemon.filesOf(difference)).toEqual({
      changed: '2',
      was: 'a file',
      'new/': '',
      'new/n': 'n',
    });
    expect(await daemon.filesOf(merge(image('one'), difference))).toEqual(await daemon.filesOf(image('two')));
    expect(await daemon.layersOf(diff(image('two'), image('two')))).toEqual([]);
  });
});

describe('local files', () => {
  const build = async (session: FakeSession, source = local('context')): Promise<Record<string, string>> =>
    new FakeDaemonOf(session).filesOf(source, { sessionIds: [session.id] });

  class FakeDaemonOf extends FakeDaemon {
    constructor(...sessions: FakeSession[]) {
      super(host, sessionsOf(...sessions));
    }
  }

  test('come with their attributes, links and directories', async () => {
    const session = new FakeSession('s', {
      d: { type: 'directory', content: '' },
      'd/f': { content: 'hello' },
      'd/hard': { content: '', linkName: 'd/f' },
      l: { type: 'symlink', linkName: '../../etc', content: '' },
      empty: { content: '' },
    });
    const expected = { 'd/': '', 'd/f': 'hello', 'd/hard': 'hello', empty: '', l: '-> ../../etc' };
    expect(await build(session)).toEqual(expected);
    const layered = copy(undefined, local('context'), '/', '/', { dirCopyContents: true });
    expect(await build(session, layered)).toEqual(expected);
  });

  test('that did not change are not asked for again', async () => {
    const first = new FakeSession('one', { a: { content: 'a' }, b: { content: 'b' } });
    const second = new FakeSession('two', {
      a: { content: 'a' },
      b: { content: 'new', modifiedNs: 6_000_000_000n },
    });
    const both = new FakeDaemonOf(first, second);
    await both.filesOf(local('context'), { sessionIds: ['one'] });
    expect(await both.filesOf(local('context'), { sessionIds: ['two'] })).toEqual({ a: 'a', b: 'new' });
    expect([first.asked, second.asked]).toEqual([['a', 'b'], ['b']]);
  });

  test('that a client sends wrongly end the build', async () => {
    const grown = new FakeSession('s', { f: { content: 'more than said', sizeBytes: 3 } });
    await expect(build(grown)).rejects.toThrow('grew while it was sent');
    const attributes = local('context', { 'local.includepattern': '{"no":"list"}' });
    await expect(build(new FakeSession('s'), attributes)).rejects.toThrow('no list of texts');
  });
});

describe('patterns', () => {
  test.each<[string[], string, boolean]>([
    [['*.go'], 'x.go', true],
    [['*.go'], 'd/x.go', false],
    [['**/*.go'], 'x.go', true],
    [['**/*.go'], 'a/b/x.go', true],
    [['**.go'], 'a/b/x.go', true],
    [['a**'], 'a/b', true],
    [['a**z'], 'ab/cz', true],
    [['dir'], 'dir/below/it', true],
    [['dir/**'], 'dir', false],
    [['dir/**'], 'dir/f', true],
    [['**'], 'f', true],
    [['/dir/'], 'dir/f', true],
    [['dir', '!dir/keep'], 'dir/keep/f', false],
    [['dir', '!dir/keep', 'dir/keep/not'], 'dir/keep/not', true],
    [['[a-c]?'], 'bx', true],
    [['[^a-c]?'], 'bx', false],
    [[''], 'x', false],
  ])('%j and %s: %s', (patterns, path, expected) => {
    expect(new PatternList(patterns).matches(path)).toBe(expected);
  });

  test('no pattern takes long', () => {
    const pattern = fc.stringMatching(/^[a*!/?[\]\\-]{0,40}$/);
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 5 }), (patterns) => {
        try {
          new PatternList(patterns).matches('a'.repeat(200) + '/a'.repeat(200));
        } catch (error) {
          expect(error).toMatchObject({ code: 'InvalidArgument' });
        }
      }),
    );
  });
});

test.each<[string, number, boolean, number]>([
  ['755', 0o644, false, 0o755],
  ['u=rwX,go=rX', 0o600, true, 0o755],
  ['u=rwX,go=rX', 0o600, false, 0o644],
  ['+x', 0o644, false, 0o755],
  ['g-w,o=', 0o666, false, 0o640],
  ['u+s', 0o755, false, 0o4755],
  ['a=r', 0o777, false, 0o444],
])('mode %s of %o', (text, mode, isDirectory, expected) => {
  expect(parseMode(text)(mode, isDirectory)).toBe(expected);
});
