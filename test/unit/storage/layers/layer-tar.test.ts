import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { LayerTar, type LayerTarOptions } from '../../../../src/storage/layers/layer-tar';
import { listTar, readMember, type ListedEntry } from '../tar/read-tar';
import { makeTar, padded, tarHeader, tarItem, type TarItem } from '../../../support/images/tar-maker';

interface Rewritten {
  archive: Buffer;
  contentBytes: number;
  passes: number;
}

async function run(tar: Buffer, options: LayerTarOptions, chunkBytes: number): Promise<[LayerTar, Buffer]> {
  const layerTar = new LayerTar(options);
  const parts: Buffer[] = [];
  layerTar.on('data', (chunk: Buffer) => parts.push(Buffer.from(chunk)));
  const chunks: Buffer[] = [];
  for (let at = 0; at < tar.length; at += chunkBytes) chunks.push(tar.subarray(at, at + chunkBytes));
  await pipeline(Readable.from(chunks, { objectMode: true }), layerTar);
  return [layerTar, Buffer.concat(parts)];
}

/** As the layer store does it: a second pass where it is needed. */
async function rewrite(tar: Buffer, options: LayerTarOptions = {}, chunkBytes = 65_536): Promise<Rewritten> {
  const [first, archive] = await run(tar, options, chunkBytes);
  if (!first.needsPlan) return { archive, contentBytes: first.contentBytes, passes: 1 };
  const [scan] = await run(tar, { scan: true }, chunkBytes);
  const [second, planned] = await run(tar, { ...options, plan: scan.plan() }, chunkBytes);
  return { archive: planned, contentBytes: second.contentBytes, passes: 2 };
}

async function entries(items: (TarItem | Buffer)[]): Promise<Record<string, ListedEntry>> {
  const { archive } = await rewrite(makeTar(items));
  return Object.fromEntries(listTar(archive).map((entry) => [entry.name, entry]));
}

describe('what is kept', () => {
  test.each(['../../kept', 'a/../../kept', '/../kept'])(
    '%s stays in the root, as in a chroot',
    async (name) => {
      expect(Object.keys(await entries([{ name, data: 'x' }]))).toEqual(['kept']);
    },
  );

  test('files, links, devices, owners and modes', async () => {
    const list = await entries([
      { name: './', type: '5', mode: 0o700, uid: 7 },
      { name: './bin/', type: '5', mode: 0o711 },
      { name: './bin/su', data: 'elf', mode: 0o4755, uid: 3_000_000, pax: [['uid', '3000000']] },
      { name: 'bin/sh', type: '2', link: 'su' },
      { name: '/bin/bash', type: '1', link: './bin/su' },
      { name: 'dev/tty', type: '3', device: [5, 0], mode: 0o620, gid: 5 },
      { name: 'dev/sda', type: '4', device: [8, 1] },
      { name: 'run/pipe', type: '6' },
    ]);
    expect(list['bin/su']).toMatchObject({ mode: '-rwsr-xr-x', owner: '3000000/0', size: '3' });
    expect(list['bin/sh']).toMatchObject({ link: 'su' });
    expect(list['bin/bash']).toMatchObject({ link: 'bin/su' });
    expect(list['dev/tty']).toMatchObject({ mode: 'crw--w----', owner: '0/5', size: '5,0' });
    expect(list['dev/sda']).toMatchObject({ size: '8,1' });
    expect(list['run/pipe']?.mode.startsWith('p')).toBe(true);
    expect(list['bin/']).toMatchObject({ mode: 'drwx--x--x' });
    // Parents that nothing describes; and the root is what the container's root is, as in Docker.
    expect(list['run/']).toMatchObject({ mode: 'drwxr-xr-x', owner: '0/0' });
    expect(Object.keys(list)).not.toContain('./');
  });

  test.each(['pax', 'gnu'] as const)('long names and links in the form of %s', async (form) => {
    const gnu = form === 'gnu';
    const name = `d/${'n'.repeat(240)}`;
    const list = await entries([
      { name, data: 'x', gnu },
      { name: 'sym', type: '2', link: `../${'t'.repeat(300)}`, gnu },
      { name: 'hard', type: '1', link: name, gnu },
      { name: 'h'.repeat(100), data: 'y', gnu },
    ]);
    expect(list[name]).toBeDefined();
    expect(list['sym']?.link).toBe(`../${'t'.repeat(300)}`);
    expect(list['hard']?.link).toBe(name);
    expect(list['h'.repeat(100)]).toBeDefined();
  });

  test('names of any bytes, and the prefix field', async () => {
    const list = await entries([
      { name: 'latin\xe9\xff', data: 'x' },
      { name: 'new\\line', data: 'x' },
      { name: 'short', data: 'x', patch: (header) => header.write('some/prefix', 345) },
    ]);
    expect(Object.keys(list)).toEqual(
      expect.arrayContaining(['latin\xe9\xff', 'new\\line', 'some/prefix/short']),
    );
  });

  test('extended attributes byte for byte, but none of overlayfs', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000ff0a3d', 'hex');
    const { archive } = await rewrite(
      makeTar([
        {
          name: 'ping',
          data: 'x',
          pax: [
            ['SCHILY.xattr.security.capability', capability],
            ['SCHILY.xattr.trusted.overlay.redirect', '/etc'],
            ['SCHILY.xattr.user.overlay.opaque', 'y'],
            ['comment', 'gone'],
          ],
        },
      ]),
    );
    expect(
      archive.includes(Buffer.concat([Buffer.from('SCHILY.xattr.security.capability='), capability])),
    ).toBe(true);
    expect(archive.includes('overlay')).toBe(false);
    expect(archive.includes('comment')).toBe(false);
  });

  test('times are brought into the range of squashfs', async () => {
    const { archive } = await rewrite(
      makeTar([
        { name: 'before', data: '', pax: [['mtime', '-5.5']] },
        { name: 'late', data: '', pax: [['mtime', '9223372036.8']] },
        { name: 'never', data: '', pax: [['mtime', '9223372037']] },
      ]),
    );
    const text = execFileSync('tar', ['-tv', '--full-time', '-f', '-'], {
      input: archive,
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    });
    expect(text).toMatch(/1970-01-01 00:00:00 before/);
    expect(text).toMatch(/2106-02-07 06:28:15 late/);
    expect(text).toMatch(/1970-01-01 00:00:00 never/); // after the end of Docker's clock
  });

  test('the content is as large as Docker says: files, and targets of symbolic links', async () => {
    const { contentBytes } = await rewrite(
      makeTar([
        { name: 'usr/lib/', type: '5' },
        { name: 'lib', type: '2', link: 'usr/lib' },
        { name: 'a', data: '12345' },
        { name: 'b', type: '1', link: 'a' },
      ]),
    );
    expect(contentBytes).toBe(12);
  });

  test('an archive without an end, and an empty one', async () => {
    const tar = tarItem({ name: 'a', data: 'x' });
    expect(listTar((await rewrite(tar)).archive).map(({ name }) => name)).toEqual(['a']);
    expect(listTar((await rewrite(Buffer.alloc(0))).archive)).toEqual([]);
  });
});

describe('sparse files', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'caisson-sparse-'));
    writeFileSync(join(dir, 'file'), 'begin');
    truncateSync(join(dir, 'file'), 3_000_000);
    writeFileSync(join(dir, 'file'), Buffer.concat([Buffer.alloc(2_500_000), Buffer.from('end')]), {
      flag: 'r+',
    });
    truncateSync(join(dir, 'file'), 5_000_000);
    execFileSync('fallocate', ['--dig-holes', join(dir, 'file')]);
  });
  afterAll(() => {
    rmSync(dir, { recursive: true });
  });

  test.each([
    ['the old form', ['--format=gnu']],
    ['0.0', ['--format=posix', '--sparse-version=0.0']],
    ['0.1', ['--format=posix', '--sparse-version=0.1']],
    ['1.0', ['--format=posix', '--sparse-version=1.0']],
  ])('%s is written out', async (_form, args) => {
    const tar = execFileSync('tar', [...args, '--sparse', '-cf', '-', '-C', dir, 'file'], {
      maxBuffer: 1 << 26,
    });
    expect(tar.length).toBeLessThan(1_000_000);
    const { archive, contentBytes } = await rewrite(tar, {}, 1000);
    expect(contentBytes).toBe(5_000_000);
    const content = readMember(archive, 'file');
    expect(content.length).toBe(5_000_000);
    expect(content.subarray(2_500_000, 2_500_003).toString()).toBe('end');
    expect(content.equals(execFileSync('cat', [join(dir, 'file')], { maxBuffer: 1 << 26 }))).toBe(true);
  });

  const form10 = (map: string, realSize: string, data: string): Buffer =>
    makeTar([
      {
        name: 's',
        pax: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', 'real'],
          ['GNU.sparse.realsize', realSize],
        ],
        data: Buffer.concat([padded(Buffer.from(map)), Buffer.from(data)]),
      },
    ]);

  test.each([
    ['parts behind the end', form10('1\n100\n4\n', '50', 'abcd')],
    ['parts out of order', form10('2\n100\n2\n0\n2\n', '500', 'abcd')],
    ['more data than parts', form10('1\n0\n2\n', '500', 'abcd')],
    ['a negative offset', form10('1\n-1\n4\n', '500', 'abcd')],
    ['no number', form10('x\n', '500', 'abcd')],
    ['too many parts', form10('999999\n1\n1\n', '500', 'abcd')],
    ['a map without an end', form10('9\n1\n1\n', '500', '')],
    ['a size beyond counting', form10('1\n0\n4\n', '99999999999999999', 'abcd')],
  ])('%s is no header', async (_what, tar) => {
    await expect(rewrite(tar)).rejects.toThrow('archive/tar: invalid tar header');
  });

  test('a hole larger than the disk is refused before it is written', async () => {
    const tar = form10('1\n0\n4\n', String(2 ** 50), 'abcd');
    await expect(rewrite(tar, { maxContentBytes: 1e9 })).rejects.toThrow('no space left on device');
  });
});

describe('whiteouts', () => {
  test('become devices and marks of overlayfs, wherever they stand', async () => {
    const { archive } = await rewrite(
      makeTar([
        { name: 'etc/.wh.passwd', data: '' },
        { name: 'opt/.wh..wh..opq', data: '' },
        { name: 'opt/', type: '5', mode: 0o1777 },
        { name: '.wh..wh.plnk', data: '' },
        { name: '.wh.top', data: '' },
      ]),
    );
    const list = listTar(archive);
    expect(list.find(({ name }) => name === 'etc/passwd')).toMatchObject({ mode: 'c---------', size: '0,0' });
    expect(list.find(({ name }) => name === 'top')).toMatchObject({ size: '0,0' });
    expect(list.find(({ name }) => name === 'opt/')).toMatchObject({ mode: 'drwxrwxrwt' });
    expect(archive.toString('latin1')).toMatch(/SCHILY\.xattr\.trusted\.overlay\.opaque=y/);
    expect(archive.toString('latin1')).not.toContain('.wh.');
  });

  test('of a name as long as names can be', async () => {
    const name = 'n'.repeat(255);
    expect(await entries([{ name: `d/.wh.${name}` }])).toMatchObject({ [`d/${name}`]: { size: '0,0' } });
  });

  test('an entry of the same layer wins over its whiteout', async () => {
    const list = await entries([
      { name: '.wh.a', data: '' },
      { name: 'a', data: 'x' },
      { name: 'b', data: 'x' },
      { name: '.wh.b', data: '' },
      { name: 'd/f', data: '' },
      { name: '.wh.d', data: '' },
    ]);
    expect(list['a']?.mode).toBe('-rw-r--r--');
    expect(list['b']?.mode).toBe('-rw-r--r--');
    expect(list['d/']?.mode).toBe('drwxr-xr-x');
  });
});

describe('a second pass', () => {
  test('the last of a name counts', async () => {
    const { archive, passes } = await rewrite(
      makeTar([
        { name: 'a', data: 'old' },
        { name: 'd/inside', data: 'x' },
        { name: './a', data: 'new', mode: 0o600 },
        { name: 'd', data: 'now a file' },
      ]),
    );
    expect(passes).toBe(2);
    expect(listTar(archive).map(({ name }) => name)).toEqual(['a', 'd']);
    expect(readMember(archive, 'a').toString()).toBe('new');
  });

  test('names lead through symbolic links of the layer, and never out of it', async () => {
    const { archive, passes } = await rewrite(
      makeTar([
        { name: 'usr/lib/', type: '5', mode: 0o711 },
        { name: 'lib', type: '2', link: '../../usr/lib' },
        { name: 'lib64', type: '2', link: '/lib' },
        { name: 'lib64/libc.so', data: 'x' },
        { name: 'lib/.wh.old', data: '' },
        { name: 'copy', type: '1', link: 'lib/libc.so' },
      ]),
    );
    expect(passes).toBe(2);
    const names = listTar(archive).map(({ name, link }) =>
      link === undefined ? name : `${name} -> ${link}`,
    );
    expect(names.sort()).toEqual(
      [
        'usr/',
        'usr/lib/',
        'usr/lib/libc.so',
        'usr/lib/old',
        'lib -> ../../usr/lib',
        'lib64 -> /lib',
        'copy -> usr/lib/libc.so',
      ].sort(),
    );
  });

  // Each as dockerd 20.10 ends.
  test.each<[string, TarItem[], string]>([
    [
      'a file as a directory',
      [
        { name: 'a', data: '1' },
        { name: 'a/b', data: '1' },
      ],
      'open /a/b: not a directory',
    ],
    [
      'a link to nothing',
      [{ name: 'l', type: '1', link: 'nothere' }],
      'link /nothere /l: no such file or directory',
    ],
    [
      'a link to the host',
      [{ name: 'l', type: '1', link: '../../etc/passwd' }],
      'link /etc/passwd /l: no such file or directory',
    ],
    [
      'a symbolic link to the host',
      [
        { name: 'lib', type: '2', link: '/../../../etc' },
        { name: 'lib/foo', data: '1' },
      ],
      'open /lib/foo: no such file or directory',
    ],
    [
      'symbolic links in a circle',
      [
        { name: 'a', type: '2', link: 'b' },
        { name: 'b', type: '2', link: 'a' },
        { name: 'a/x', data: '' },
      ],
      'too many levels of symbolic links',
    ],
    [
      'a link whose target gave its name away',
      [
        { name: 'a', data: '1' },
        { name: 'b', type: '1', link: 'a' },
        { name: 'a', data: '2' },
      ],
      'duplicates of file paths not supported',
    ],
  ])('%s is refused', async (_what, items, message) => {
    await expect(rewrite(makeTar(items))).rejects.toThrow(message);
  });
});

describe('a directory with more names than one image takes', () => {
  const tar = makeTar([
    { name: 'd/.wh..wh..opq', data: '' },
    { name: 'd/.wh.gone', data: '' },
    { name: 'd/', type: '5', mode: 0o711, uid: 5 },
    ...Array.from({ length: 5 }, (_, i) => ({ name: `d/f${i}`, data: String(i) })),
    { name: 'other/x', data: 'x' },
    { name: 'd/sub/x', data: 'x' },
    { name: 'd/linked', type: '1', link: 'd/f0' },
    { name: 'd/dev', type: '3', device: [1, 3] as [number, number] },
  ]);
  const part = async (number: number): Promise<[number, Record<string, ListedEntry>, Buffer]> => {
    const [layerTar, archive] = await run(tar, { maxNamesPerDirectory: 3, part: number }, 65_536);
    return [
      layerTar.partCount,
      Object.fromEntries(listTar(archive).map((entry) => [entry.name, entry])),
      archive,
    ];
  };

  test('is spread over several, each with the directory; the lowest hides what is below', async () => {
    const parts = await Promise.all([0, 1, 2].map(part));
    expect(parts.map(([count]) => count)).toEqual([3, 3, 3]);
    expect(parts.map(([, list]) => Object.keys(list).sort())).toEqual([
      ['d/', 'd/f0', 'd/f1', 'd/f2', 'd/linked', 'other/', 'other/x'],
      ['d/', 'd/f3', 'd/f4', 'd/sub/', 'd/sub/x'],
      ['d/', 'd/dev', 'd/gone'],
    ]);
    for (const [, list] of parts) expect(list['d/']).toMatchObject({ mode: 'drwx--x--x', owner: '5/0' });
    expect(parts.map(([, , archive]) => archive.includes('trusted.overlay.opaque'))).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('one that is not so full is one image', async () => {
    const [layerTar] = await run(tar, {}, 65_536);
    expect(layerTar.partCount).toBe(1);
  });
});

describe('bad archives, in the words of Go and dockerd', () => {
  const file = tarItem({ name: 'a', data: 'x'.repeat(2000) });
  test.each<[string, Buffer, string]>([
    ['a wrong checksum', makeTar([{ name: 'a', badChecksum: true }]), 'archive/tar: invalid tar header'],
    ['no tar at all', Buffer.alloc(2000, 'x'), 'archive/tar: invalid tar header'],
    ['less than a header', Buffer.from('too short'), 'unexpected EOF'],
    ['cut in the data', file.subarray(0, 1500), 'unexpected EOF'],
    ['cut in the padding', file.subarray(0, 2520), 'unexpected EOF'],
    [
      'a negative size',
      makeTar([{ name: 'a', patch: (header) => header.fill(0xff, 124, 136) }]),
      'invalid tar header',
    ],
    [
      'a size that is no number',
      makeTar([{ name: 'a', patch: (header) => header.write('12x4', 124) }]),
      'invalid tar header',
    ],
    ['a negative size in PAX', makeTar([{ name: 'a', pax: [['size', '-1']] }]), 'invalid tar header'],
    [
      'an endless size in PAX',
      makeTar([{ name: 'a', pax: [['size', '9'.repeat(30)]] }]),
      'invalid tar header',
    ],
    ['a header of 4 GiB', tarHeader({ name: 'p', type: 'x' }, 2 ** 32), 'header field too long'],
    ['a name of 4 GiB', tarHeader({ name: 'p', type: 'L' }, 2 ** 32), 'header field too long'],
    ['a cut header', tarHeader({ name: 'p', type: 'x' }, 5000), 'unexpected EOF'],
    ['a zero byte in a name', makeTar([{ name: 'a', pax: [['path', 'a\0b']] }]), 'invalid tar header'],
    ['entries behind half an end', Buffer.concat([Buffer.alloc(512), file]), 'invalid tar header'],
    ['a type nobody knows', makeTar([{ name: 'a', type: '9' }]), 'unhandled tar header type 57'],
    ['a name too long', makeTar([{ name: 'n'.repeat(256) }]), 'file name too long'],
    ['a whiteout of a name too long', makeTar([{ name: `.wh.${'n'.repeat(256)}` }]), 'file name too long'],
    ['a path too long', makeTar([{ name: 'd/'.repeat(3000) }]), 'file name too long'],
    ['a whiteout of the root', makeTar([{ name: '.wh..' }]), 'file exists'],
    ['an owner beyond 32 bits', makeTar([{ name: 'a', pax: [['uid', '4294967296']] }]), 'invalid argument'],
    [
      'records that are none',
      makeTar([Buffer.concat([tarHeader({ name: 'x', type: 'x' }, 9), padded(Buffer.from('999 a=b\n\n'))])]),
      'invalid tar header',
    ],
  ])('%s', async (_what, tar, message) => {
    await expect(rewrite(tar)).rejects.toThrow(message);
    await expect(rewrite(tar, {}, 100)).rejects.toThrow(message);
  });

  test('a directory made to keep sqfstar busy for hours', async () => {
    const names = (function* (): Generator<Buffer> {
      for (let i = 0; i < 200_000; i += 1) yield tarHeader({ name: `f${i}` }, 0);
    })();
    const layerTar = new LayerTar({ maxNamesPerDirectory: 200_000 });
    layerTar.resume();
    await expect(pipeline(Readable.from(names), layerTar)).rejects.toThrow(
      'too many entries in one directory',
    );
  }, 60_000);

  test('dots within the layer are only dots', async () => {
    const list = await entries([
      { name: '/../x', data: '' },
      { name: './a/../b/./c//d', data: '' },
      { name: '.', data: '' },
    ]);
    expect(Object.keys(list).sort()).toEqual(['b/', 'b/c/', 'b/c/d', 'x']);
  });

  test('more content than there is room for', async () => {
    const tar = makeTar([
      { name: 'a', data: 'x'.repeat(600) },
      { name: 'b', data: 'x'.repeat(600) },
    ]);
    await expect(rewrite(tar, { maxContentBytes: 1000 })).rejects.toThrow(
      'write /b: no space left on device',
    );
  });
});

describe('any archive', () => {
  const part = fc.constantFrom(
    'a',
    'b',
    'c',
    '..',
    '.',
    '',
    '.wh.a',
    '.wh..wh..opq',
    '.wh.',
    'x\xff',
    'n'.repeat(120),
  );
  const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
  const item: fc.Arbitrary<TarItem> = fc.record({
    name: path,
    type: fc.constantFrom('0', '0', '0', '1', '2', '3', '5', '5', '6', '\0', 'S', '7'),
    link: path,
    data: fc.constantFrom('', 'x', 'y'.repeat(600)),
    uid: fc.constantFrom(0, 1000),
    gnu: fc.boolean(),
  });
  const archive = fc.array(item, { maxLength: 12 }).map((items) => makeTar(items));
  const damaged = fc
    .tuple(archive, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat())
    .map(([tar, changes, length]) => {
      for (const [at, byte] of changes) tar[at % tar.length] = byte;
      return tar.subarray(0, length % 4 === 0 ? length % tar.length : tar.length);
    });

  /** What comes out is safe for sqfstar: clean names, links that exist, nothing twice. */
  function expectClean(list: readonly ListedEntry[]): void {
    const seen = new Set<string>();
    for (const { name, mode, link } of list) {
      const plain = name.replace(/\/$/, '');
      expect(plain).not.toMatch(/(^|\/)(\.{0,2})(\/|$)/);
      if (!mode.startsWith('d')) expect(plain).not.toMatch(/(^|\/)\.wh\.[^/]*$/);
      expect(seen.has(plain)).toBe(false);
      seen.add(plain);
      if (mode.startsWith('h')) expect(seen.has(link ?? '')).toBe(true);
    }
    for (const name of seen) {
      const parent = name.slice(0, Math.max(0, name.lastIndexOf('/')));
      if (parent !== '') expect(list.some((entry) => entry.name === `${parent}/`)).toBe(true);
    }
  }

  test('is rewritten cleanly, or refused with an Error; pieces make no difference', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(archive, damaged),
        fc.integer({ min: 1, max: 1500 }),
        async (tar, chunkBytes) => {
          const outcome = async (bytes: number): Promise<Buffer | string> => {
            try {
              return (await rewrite(tar, { maxContentBytes: 1e7 }, bytes)).archive;
            } catch (error) {
              expect((error as Error).name).toBe('TarError');
              return (error as Error).message;
            }
          };
          const whole = await outcome(1 << 20);
          expect(await outcome(chunkBytes)).toEqual(whole);
          if (typeof whole !== 'string') expectClean(listTar(whole));
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);
});
