import { readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import fc from 'fast-check';
import { DaemonError } from '../../../src/errors';
import { TarParser } from '../../../src/storage/tar/tar-parser';
import type { TarEntry } from '../../../src/storage/tar/tar-header';
import { makeTar, type TarItem } from '../../support/images/tar-maker';
import { FakeBuildHost, buildText } from './fake-build-host';

let host: FakeBuildHost;
beforeEach(() => (host = new FakeBuildHost()));
afterEach(() => host.remove());

const context = (dockerfile: string, items: readonly TarItem[] = []): Buffer =>
  makeTar([{ name: 'Dockerfile', data: dockerfile }, ...items]);

function entriesOf(tar: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  const parser = new TarParser({ entry: (entry) => (entries.push(entry), false), data: () => undefined });
  parser.write(tar);
  parser.end();
  return entries;
}

const layers = (): TarEntry[][] => [...host.tarsByDiffId.values()].map(entriesOf);
const lastLayer = (): TarEntry[] => layers().at(-1) ?? [];
const shown = ({ name, type, mode, uid, gid, link }: TarEntry): string =>
  `${type} ${name} ${mode.toString(8)} ${uid}:${gid} ${link}`.trim();

describe('a build', () => {
  test('tells its steps as dockerd does', async () => {
    const { text } = await buildText(host, context('FROM scratch\nENV a=b\nRUN x $a\n'), { t: 'one' });
    const id = (at: number): string => host.listImages()[at]!.id.slice(7, 19);
    expect(text).toBe(
      `Step 1/3 : FROM scratch\n ---> \nStep 2/3 : ENV a=b\n ---> Running in 000000000000\n` +
        `Removing intermediate container 000000000000\n ---> ${id(0)}\nStep 3/3 : RUN x $a\n` +
        ` ---> Running in 000000000000\nRemoving intermediate container 000000000000\n ---> ${id(1)}\n` +
        `Successfully built ${id(1)}\nSuccessfully tagged one:latest\n`,
    );
    expect(host.containers.size).toBe(0);
  });

  test('takes a step from the cache until one differs', async () => {
    const files = [{ name: 'f', data: '1' }];
    await buildText(host, context('FROM scratch\nENV a=b\nCOPY f /\nENV c=d\n', files));
    const again = await buildText(host, context('FROM scratch\nENV a=b\nCOPY f /\nENV c=d\n', files));
    expect(again.text.match(/Using cache/g)).toHaveLength(3);
    const changed = [{ name: 'f', data: '2' }];
    const other = await buildText(host, context('FROM scratch\nENV a=b\nCOPY f /\nENV c=d\n', changed));
    expect(other.text.match(/Using cache/g)).toHaveLength(1);
    const none = await buildText(host, context('FROM scratch\nENV a=b\n', files), { nocache: '1' });
    expect(none.text).not.toContain('Using cache');
  });

  test('times of files do not count for the cache, modes and owners do', async () => {
    const build = (item: Partial<TarItem>): Promise<{ text: string }> =>
      buildText(host, context('FROM scratch\nCOPY f /\n', [{ name: 'f', data: '1', ...item }]));
    await build({ mtime: 1 });
    expect((await build({ mtime: 2 })).text).toContain('Using cache');
    expect((await build({ mode: 0o755 })).text).not.toContain('Using cache');
    expect((await build({ uid: 5 })).text).not.toContain('Using cache');
  });

  test('a command that fails is the last line, and its container stays', async () => {
    host.exitCode = 3;
    const { messages } = await buildText(host, context('FROM scratch\nENV a=b\nRUN false\n'));
    const message = "The command '/bin/sh -c false' returned a non-zero code: 3";
    expect(messages.at(-1)).toEqual({ errorDetail: { code: 3, message }, error: message });
    expect(host.containers.size).toBe(1);
    await buildText(host, context('FROM scratch\nRUN false\n'), { forcerm: '1' });
    expect(host.containers.size).toBe(1);
  });

  test.each([
    ['squash=1', 'squash is only supported with experimental mode'],
    ['target=none', 'failed to reach build target none in Dockerfile'],
    ['dockerfile=none', 'Cannot locate specified Dockerfile: none'],
    ['t=A', 'invalid reference format: repository name must be lowercase'],
    ['buildargs=[', 'error reading build args'],
    ['remote=x', 'remoteURL (x) could not be recognized as URL'],
  ])('?%s is refused before the first line', async (query, message) => {
    const parameters = Object.fromEntries(new URLSearchParams(query));
    await expect(buildText(host, context('FROM scratch\nENV a=b\n'), parameters)).rejects.toThrow(message);
    expect(readdirSync(host.temporaryDir)).toEqual([]);
  });

  test('arguments: declared ones, defaults, and those nobody wanted', async () => {
    const dockerfile = 'ARG base=scratch\nFROM $base\nARG a\nARG b=2\nENV c=$a$b$base$x\n';
    const { text } = await buildText(host, context(dockerfile), { buildargs: '{"a":"1","x":"y"}' });
    expect(host.listImages().at(-1)?.config.config?.Env).toContain('c=12');
    expect(text).toContain('[Warning] One or more build-args [x] were not consumed\n');
  });

  test('many arguments before FROM leave others their turn', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `ARG a${i}`).join('\n');
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await buildText(host, context(`${lines}\nFROM scratch\nENV a=b\n`));
    isDone = true;
    expect(turns).toBeGreaterThan(900);
  });

  test('a platform that can not be read', async () => {
    await expect(buildText(host, context('FROM --platform=${a?x} scratch\nENV a=b\n'))).rejects.toThrow(
      'failed to process arguments for platform : failed to process "${a?x}": a: x',
    );
  });

  test('triggers run in the stage that starts from their image', async () => {
    await buildText(host, context('FROM scratch\nONBUILD ENV a=b\n'), { t: 'base:1' });
    const { text } = await buildText(host, context('FROM base:1\nENV c=$a\n'));
    expect(text).toContain('# Executing 1 build trigger\n');
    expect(host.listImages().at(-1)?.config.config?.Env).toEqual(expect.arrayContaining(['a=b', 'c=b']));
    expect(host.listImages().at(-1)?.config.config?.OnBuild).toBeNull();
  });
});

describe('COPY and ADD', () => {
  const files: TarItem[] = [
    { name: 'd/', type: '5', mode: 0o750, uid: 7 },
    { name: 'd/suid', data: 'x', mode: 0o6755, uid: 7, gid: 8 },
    { name: 'd/hard', type: '1', link: 'd/suid', mode: 0o4755 },
    { name: 'd/link', type: '2', link: 'suid' },
    { name: Buffer.from('ü').toString('latin1'), data: 'z' },
    { name: 'a.tgz', data: gzipSync(makeTar([{ name: 'in/side', data: 'y', uid: 5 }])) },
  ];

  test.each([
    [
      'COPY d /x/y',
      [
        '5 x/ 755 0:0',
        '5 x/y/ 755 0:0',
        '2 x/y/link 777 0:0 suid',
        '0 x/y/hard 755 0:0',
        '1 x/y/suid 755 0:0 x/y/hard',
      ],
    ],
    ['COPY --chown=3:4 d/suid /x/', ['5 x/ 755 3:4', '0 x/suid 755 3:4']],
    ['COPY d/link /x', ['0 x 755 0:0']],
    ['COPY d/s* d/l* /x/', ['5 x/ 755 0:0', '0 x/link 755 0:0', '0 x/suid 755 0:0']],
    ['COPY [ä-ü] /x/', ['5 x/ 755 0:0', '0 x/\u00c3\u00bc 644 0:0']],
    ['ADD a.tgz /x', ['5 x/ 755 0:0', '5 x/in/ 755 0:0', '0 x/in/side 644 5:0']],
    ['COPY a.tgz /x/', ['5 x/ 755 0:0', '0 x/a.tgz 644 0:0']],
  ])('%s', async (instruction, expected) => {
    await buildText(host, context(`FROM scratch\n${instruction}\n`, files));
    const names = lastLayer()
      .map(shown)
      .map((line) => line.replace('link 0 ', 'link 777 '));
    expect(names.map((line) => line.replace(/^2 (\S+) \d+/, '2 $1 777')).sort()).toEqual(
      [...expected].sort(),
    );
  });

  test('from a stage, owners stay; links of the destination are followed inside', async () => {
    const dockerfile =
      'FROM scratch AS one\nADD a.tgz /t\nFROM scratch\nADD l.tar /\nCOPY --from=one /t/in /l/z/\n';
    const linked = makeTar([{ name: 'l', type: '2', link: '../../etc' }]);
    await buildText(host, context(dockerfile, [...files, { name: 'l.tar', data: linked }]));
    expect(lastLayer().map(shown)).toEqual(['5 etc/ 755 0:0', '5 etc/z/ 755 0:0', '0 etc/z/side 644 5:0']);
  });

  test.each([
    [
      'COPY none /x',
      'COPY failed: file not found in build context or excluded by .dockerignore: stat none: file does not exist',
    ],
    ['COPY none* /x', 'COPY failed: no source files were specified'],
    ['COPY ../x /x', 'COPY failed: forbidden path outside the build context: ../x ()'],
    [
      'COPY d d /x',
      'When using COPY with more than one source file, the destination must be a directory and end with a /',
    ],
    ['COPY --from=0 d /x', 'invalid from flag value 0: refers to current build stage'],
    ['COPY --chmod=755 d /x', 'the --chmod option requires BuildKit'],
    ['COPY http://a/b /x', "COPY failed: source can't be a URL for COPY"],
    [
      'COPY --chown=nobody d /x',
      "can't find uid for user nobody: open /etc/passwd: no such file or directory",
    ],
    [
      'COPY --chown=5:nobody d /x',
      "can't find gid for group nobody: open /etc/group: no such file or directory",
    ],
  ])('%s is refused', async (instruction, message) => {
    await expect(buildText(host, context(`FROM scratch\n${instruction}\n`, files))).rejects.toThrow(message);
  });

  test('.dockerignore takes itself and the Dockerfile out', async () => {
    const ignore = { name: '.dockerignore', data: '# all\nDockerfile\n.dockerignore\n' };
    await buildText(host, context('FROM scratch\nCOPY . /\n', [ignore, { name: 'f' }]));
    expect(lastLayer().map(({ name }) => name)).toEqual(['f']);
  });

  const names = fc.constantFrom(
    'a',
    'b',
    'a/b',
    '/a',
    '../a',
    'a/../../b',
    './a/',
    'a/b/c',
    '.',
    '..',
    '',
    'ü\u0001',
    '.wh.a',
  );
  const items = fc.record({
    name: names,
    type: fc.constantFrom('0', '1', '2', '3', '5', '6', 'g', 'V', '\0'),
    link: fc.constantFrom('a', '../..', '/etc', 'b', 'a/b', ''),
    data: fc.constantFrom('', 'x', 'y'.repeat(600)),
  });

  test('whatever the context, no name leads out of a layer and nothing is left', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(items, { maxLength: 12 }),
        fc.integer({ min: 0, max: 600 }),
        async (list, cut) => {
          const whole = context(
            'FROM scratch\nCOPY . /x/\nCOPY a* /\nADD b /a/b\n',
            list.map((item) => ({ ...item, data: '0'.includes(item.type) ? item.data : '' })),
          );
          const tar = cut > 512 ? whole.subarray(0, whole.length - cut) : whole;
          try {
            await buildText(host, tar);
          } catch (error) {
            expect(error).toBeInstanceOf(DaemonError);
          }
          for (const { name } of layers().flat()) expect(name.split('/')).not.toContain('..');
          expect(readdirSync(host.temporaryDir)).toEqual([]);
          host.tarsByDiffId.clear();
          host.images.clear();
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
