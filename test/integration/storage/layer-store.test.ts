import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import { listTar, readMember } from '../../unit/storage/tar/read-tar';
import { makeTar, tarItem } from '../../support/images/tar-maker';
import { listImage, openLab, readImage, type StorageLab } from './storage-lab';

const sha256 = (data: Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const streamOf = (data: Buffer, chunkBytes = 10_000): Readable =>
  Readable.from(
    (function* () {
      for (let at = 0; at < data.length; at += chunkBytes) yield data.subarray(at, at + chunkBytes);
    })(),
    { objectMode: false },
  );

describe('the layer store', () => {
  let lab: StorageLab;
  beforeEach(async () => {
    lab = await openLab();
  });
  afterEach(() => {
    lab.close();
  });

  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const tar = makeTar([
    { name: 'bin/', type: '5', mode: 0o711, uid: 1, gid: 2 },
    {
      name: 'bin/ping',
      data: randomBytes(200_000),
      mode: 0o4755,
      pax: [['SCHILY.xattr.security.capability', capability]],
    },
    { name: 'bin/p', type: '1', link: 'bin/ping' },
    { name: 'etc/.wh.motd', data: '' },
    { name: 'opt/.wh..wh..opq', data: '' },
    { name: 'opt/x', data: 'x', uid: 1_000_000, pax: [['uid', '3000000']] },
    { name: 'tmp/', type: '5', mode: 0o1777 },
    { name: `deep/${'d'.repeat(200)}/\xe9`, data: 'latin1' },
    { name: 'link', type: '2', link: `../../${'up'.repeat(80)}` },
  ]);

  test.each([
    ['plain', tar],
    ['gzip', gzipSync(tar)],
    ['gzip in two members', Buffer.concat([gzipSync(tar.subarray(0, 1000)), gzipSync(tar.subarray(1000))])],
    ['zstd', execFileSync('zstd', ['-qc'], { input: tar })],
    ['xz', execFileSync('xz', ['-c'], { input: tar })],
    ['bzip2', execFileSync('bzip2', ['-c'], { input: tar })],
  ])('takes in %s', async (kind, blob) => {
    const { layers } = lab.storage;
    const layer = await layers.add(streamOf(blob), { diffId: sha256(tar), blobDigest: sha256(blob) });
    expect(layer).toMatchObject({ diffId: sha256(tar), tarBytes: tar.length });
    expect(layer.blob.fromRegistry).toBe(kind !== 'plain');
    // The tar comes back byte for byte, since squashfs could not give it.
    const chunks = await layers.openTar(layer.diffId).toArray();
    expect(Buffer.concat(chunks as Buffer[]).equals(tar)).toBe(true);
    const [path = ''] = layers.diskPaths([layer.diffId]);
    expect(listImage(path)).toContain('c--------- 0/0 0,0 etc/motd');
    expect(lab.files()).toHaveLength(2);
  });

  test('keeps everything that the kernel then shows', async () => {
    const layer = await lab.storage.layers.add(streamOf(gzipSync(tar)));
    const [path = ''] = lab.storage.layers.diskPaths([layer.diffId]);
    const shown = readImage(path);
    const list = Object.fromEntries(listTar(shown).map((entry) => [entry.name, entry]));
    expect(list['./']).toMatchObject({ mode: 'drwxr-xr-x', owner: '0/0' });
    expect(list['./bin/']).toMatchObject({ mode: 'drwx--x--x', owner: '1/2' });
    expect([list['./bin/p']?.mode, list['./bin/ping']?.mode].sort()).toEqual(['-rwsr-xr-x', 'hrwsr-xr-x']);
    expect(list['./opt/x']).toMatchObject({ owner: '3000000/0' });
    expect(list['./tmp/']?.mode).toBe('drwxrwxrwt');
    expect(list['./etc/motd']).toMatchObject({ mode: 'c---------', size: '0,0' });
    expect(list['./link']?.link).toBe(`../../${'up'.repeat(80)}`);
    expect(Object.keys(list)).toContain(`./deep/${'d'.repeat(200)}/\xe9`);
    expect(
      shown.includes(Buffer.concat([Buffer.from('SCHILY.xattr.security.capability='), capability])),
    ).toBe(true);
    expect(shown.includes('SCHILY.xattr.trusted.overlay.opaque=y')).toBe(true);
    const [first = ''] = ['./bin/p', './bin/ping'].filter((name) => list[name]?.mode.startsWith('-'));
    expect(sha256(readMember(shown, first))).toBe(sha256(readMember(tar, 'bin/ping')));
  });

  test('a directory with very many names is spread over images, which come and go with their layer', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `many/${i}`);
    const full = makeTar([
      ...names.map((name) => ({ name, data: name })),
      { name: 's', type: '2', link: 'many' },
      { name: 's/through', data: 'a second pass' },
    ]);
    lab.close();
    lab = await openLab({ maxNamesPerDirectory: 10 });
    const layer = await lab.storage.layers.add(streamOf(gzipSync(full)));
    const paths = lab.storage.layers.diskPaths([layer.diffId]);
    expect(paths).toHaveLength(3);
    const files = paths.flatMap((path) =>
      listTar(readImage(path)).flatMap(({ mode, name }) => (mode.startsWith('-') ? [name] : [])),
    );
    expect(files.sort()).toEqual([...names, 'many/through'].map((name) => `./${name}`).sort());
    expect(layer.sizeBytes).toBe(names.join('').length + 'many'.length + 'a second pass'.length);

    lab.storage.layers.reference('somebody', [layer.diffId]);
    expect((await lab.reopen()).layers.diskPaths([layer.diffId])).toEqual(paths);
    truncateSync(paths[1] ?? '', 200);
    expect((await lab.reopen()).layers.find(layer.diffId)).toBeUndefined();
    expect(lab.files()).toEqual([]);
    await lab.storage.layers.add(streamOf(full));
    lab.storage.layers.unreference('somebody');
    await lab.storage.layers.remove(layer.diffId);
    expect(lab.files()).toEqual([]);
  });

  test('a layer that needs a second pass, compressed or not', async () => {
    const odd = makeTar([
      { name: 'usr/lib/', type: '5' },
      { name: 'lib', type: '2', link: 'usr/lib' },
      { name: 'lib/a', data: 'old' },
      { name: 'usr/lib/a', data: 'new' },
    ]);
    for (const blob of [odd, gzipSync(odd)]) {
      const layer = await lab.storage.layers.add(streamOf(blob));
      const [path = ''] = lab.storage.layers.diskPaths([layer.diffId]);
      expect(readMember(readImage(path), './usr/lib/a').toString()).toBe('new');
      await lab.storage.layers.remove(layer.diffId);
    }
    expect(lab.files()).toEqual([]);
  });

  const gz = gzipSync(tar);
  const damaged = gzipSync(makeTar([{ name: 'text', data: 'not random '.repeat(50_000) }]));
  damaged.fill(0xff, 12, 112);
  test.each<[string, Buffer, object, string]>([
    [
      'another digest',
      gz,
      { blobDigest: sha256(tar) },
      `filesystem layer verification failed for digest ${sha256(tar)}`,
    ],
    [
      'another digest, and no gzip at all',
      Buffer.from('junk'),
      { blobDigest: sha256(tar) },
      'filesystem layer verification failed',
    ],
    [
      'more bytes than promised',
      gz,
      { blobDigest: sha256(gz), blobBytes: gz.length - 1 },
      'filesystem layer verification failed',
    ],
    ['another diff ID', gz, { diffId: sha256(gz) }, "layers from manifest don't match image configuration"],
    [
      'a cut blob',
      gz.subarray(0, gz.length - 100),
      {},
      'Error processing tar file(exit status 1): unexpected EOF',
    ],
    [
      'a cut tar',
      gzipSync(tar.subarray(0, 1700)),
      {},
      'Error processing tar file(exit status 1): unexpected EOF',
    ],
    ['damage', damaged, {}, 'Error processing tar file(flate: corrupt input before offset'],
    [
      'no tar',
      gzipSync(Buffer.alloc(3000, 'x')),
      {},
      'Error processing tar file(exit status 1): archive/tar: invalid tar header',
    ],
    [
      'damaged zstd',
      execFileSync('zstd', ['-qc'], { input: tar }).subarray(0, 5000),
      {},
      'Error processing tar file(',
    ],
    [
      'a type nobody knows',
      gzipSync(makeTar([{ name: '../../etc/cron.d/x', type: '9' }])),
      {},
      'unhandled tar header type 57',
    ],
    [
      'a name that is too long, after good ones',
      makeTar([{ name: 'a', data: Buffer.alloc(300_000) }, { name: 'x'.repeat(256) }]),
      {},
      'file name too long',
    ],
  ])('%s leaves nothing behind', async (_what, blob, options, message) => {
    await expect(lab.storage.layers.add(streamOf(blob), options)).rejects.toMatchObject({
      name: 'DaemonError',
      message: expect.stringContaining(message) as string,
    });
    expect(lab.files()).toEqual([]);
    expect(lab.storage.layers.list()).toEqual([]);
  });

  test('a bomb is stopped at the limit', async () => {
    lab.close();
    lab = await openLab({ maxLayerBytes: 50 * 1024 * 1024 });
    const zeros = Buffer.alloc(1 << 20);
    const header = tarItem({ name: 'zeros', size: 2 ** 33 - 1 });
    const bomb = Readable.from(
      (function* () {
        yield header;
        for (;;) yield zeros;
      })(),
      { objectMode: false },
    );
    const compressed = Readable.from(bomb.pipe(createGzip({ level: 1 })));
    await expect(lab.storage.layers.add(compressed)).rejects.toThrow('no space left on device');
    bomb.destroy();
    expect(lab.files()).toEqual([]);
  });

  test('who aborts leaves nothing behind, and the source is closed', async () => {
    const stop = new AbortController();
    const source = new Readable({
      read() {
        this.push(randomBytes(50_000));
        setImmediate(() => {
          stop.abort();
        });
      },
    });
    const adding = lab.storage.layers.add(source, { signal: stop.signal });
    await expect(adding).rejects.toMatchObject({ name: 'AbortError' });
    expect(source.destroyed).toBe(true);
    expect(lab.files()).toEqual([]);
  });

  test('a source that breaks is an error, not the end', async () => {
    const source = Readable.from(
      (async function* () {
        yield gz.subarray(0, 5000);
        await Promise.resolve();
        throw new Error('connection lost');
      })(),
      { objectMode: false },
    );
    await expect(lab.storage.layers.add(source)).rejects.toThrow('connection lost');
    expect(lab.files()).toEqual([]);
  });

  test('the same layer twice at once is there once', async () => {
    const zst = execFileSync('zstd', ['-qc'], { input: tar });
    const both = await Promise.all([gz, zst, tar].map((blob) => lab.storage.layers.add(streamOf(blob))));
    expect(new Set(both.map(({ diffId }) => diffId)).size).toBe(1);
    expect(lab.storage.layers.list()).toHaveLength(1);
    expect(lab.files()).toHaveLength(2);
  });

  test('a container keeps its layers from being removed, also over a restart', async () => {
    const { diffId } = await lab.storage.layers.add(streamOf(gz));
    lab.storage.layers.reference('container-1', [diffId]);
    await lab.storage.layers.remove(diffId);
    expect(lab.storage.layers.find(diffId)).toBeDefined();
    const { layers } = await lab.reopen();
    expect(layers.find(diffId)).toBeDefined();
    layers.unreference('container-1');
    await layers.remove(diffId);
    expect(() => layers.diskPaths([diffId])).toThrow('is missing');
    expect(lab.files()).toEqual([]);
  });

  test('a layer that comes while it is removed is whole', async () => {
    const { layers } = lab.storage;
    const { diffId } = await layers.add(streamOf(tar));
    const { rm } = fsPromises;
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const slow = jest.spyOn(fsPromises, 'rm').mockImplementationOnce(async (...args) => {
      await gate;
      await rm(...args);
    });
    try {
      const removing = layers.remove(diffId);
      const adding = layers.add(streamOf(tar), { onDiffId: open });
      await Promise.all([removing, adding]);
    } finally {
      slow.mockRestore();
    }
    expect(lab.files()).toHaveLength(2);
    expect(await layers.openTar(diffId).toArray()).not.toEqual([]);
  });

  test('a layer that is there already can be held before anybody removes it', async () => {
    const { layers } = lab.storage;
    const { diffId } = await layers.add(streamOf(tar));
    let removing: Promise<void> | undefined;
    const onDiffId = (known: string): void => {
      removing = layers.remove(known);
    };
    await layers.add(streamOf(tar), { onDiffId });
    await removing;
    expect(layers.diskPaths([diffId])).toHaveLength(1);
    expect(lab.files()).toHaveLength(2);
  });

  test('repair removes what a crash left, and what was cut', async () => {
    const { diffId } = await lab.storage.layers.add(streamOf(gz));
    const other = await lab.storage.layers.add(streamOf(makeTar([{ name: 'b', data: randomBytes(20_000) }])));
    for (const owner of [diffId, other.diffId]) lab.storage.layers.reference(owner, [owner]);
    const [path = ''] = lab.storage.layers.diskPaths([other.diffId]);
    truncateSync(path, 4096);
    for (const name of [
      'layers/.new-1.blob',
      'layers/x.squashfs',
      `blobs/sha256/${'0'.repeat(64)}`,
      'tmp/load-1',
    ])
      writeFileSync(join(lab.dataRoot, name), 'x');
    const { layers } = await lab.reopen();
    expect(layers.list().map((layer) => layer.diffId)).toEqual([diffId]);
    expect(lab.files().sort()).toEqual([
      `blobs/sha256/${layers.find(diffId)!.blob.digest.slice(7)}`,
      `layers/${diffId.slice(7)}.squashfs`,
    ]);
    expect(
      readFileSync(layers.diskPaths([diffId])[0]!)
        .subarray(0, 4)
        .toString(),
    ).toBe('hsqs');
  });
});
