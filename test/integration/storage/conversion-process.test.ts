import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { convertLayerApart, type ConversionSource } from '../../../src/storage/layers/conversion-process';
import { convertLayer, type ConvertedLayer } from '../../../src/storage/layers/layer-conversion';
import { makeTar } from '../../support/images/tar-maker';
import { projectDir } from '../../support/process/project-dir';
import { makeScratchDir } from '../../support/process/scratch-dir';

const script = join(projectDir, 'dist/storage/layers/conversion-worker.js');
const sha256 = (data: Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const streamOf = (data: Buffer): Readable => Readable.from([data], { objectMode: false });

describe('a layer that a process of its own converts', () => {
  const tar = makeTar([
    { name: 'a', data: randomBytes(3 << 20) },
    { name: 'etc/.wh.motd', data: '' },
  ]);
  const gz = gzipSync(tar);
  let dir: string;
  let paths: [string, string];
  beforeEach(() => {
    dir = makeScratchDir('conversion');
    paths = [join(dir, 'blob'), join(dir, 'disk')];
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  const apart = (source: ConversionSource, minBytes = 1 << 20): Promise<ConvertedLayer> =>
    convertLayerApart(source, ...paths, { minBytes, script });
  const children = (): string[] =>
    spawnSync('pgrep', ['-P', String(process.pid), '-f', 'conversion-worker'], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter((pid) => pid !== '');

  test.each([
    ['gzip', gz],
    ['plain', tar],
  ])('is the same, %s, as a stream and from a file', async (_kind, blob) => {
    const here = join(dir, 'here');
    mkdirSync(here);
    const expected = await convertLayer({ stream: streamOf(blob) }, join(here, 'blob'), join(here, 'disk'));
    const verified = jest.fn();
    const source = { blobDigest: sha256(blob), blobBytes: blob.length, onVerified: verified };
    expect(await apart({ ...source, stream: streamOf(blob) })).toEqual(expected);
    expect(verified).toHaveBeenCalledTimes(1);
    expect(readFileSync(paths[0]).equals(readFileSync(join(here, 'blob')))).toBe(true);
    for (const path of paths) rmSync(path);

    const path = join(dir, 'archive');
    writeFileSync(path, Buffer.concat([Buffer.alloc(1000), blob, Buffer.alloc(1000)]));
    let read = 0;
    const onRead = (bytes: number): void => void (read += bytes);
    expect(await apart({ stream: { path, start: 1000, bytes: blob.length }, onRead })).toEqual(expected);
    expect(read).toBe(blob.length);
    expect(existsSync(paths[1])).toBe(true);
  });

  test('a short one needs no process', async () => {
    const source = new PassThrough();
    const adding = apart({ stream: source }, 100 << 20);
    source.end(gz);
    expect(await adding).toMatchObject({ diffId: sha256(tar) });
  });

  test.each([
    ['a cut stream', gz.subarray(0, gz.length - 1000), {}, 'unexpected EOF'],
    [
      'another digest',
      gz,
      { blobDigest: `sha256:${'0'.repeat(64)}` },
      'filesystem layer verification failed',
    ],
    ['too much', gz, { maxTarBytes: 1 << 20 }, 'no space left on device'],
    ['no tar', randomBytes(3 << 20), {}, 'Error processing tar file(exit status 1): '],
  ])('%s is told of in the same words', async (_what, blob, options, words) => {
    const failure = {
      name: 'DaemonError',
      code: 'Internal',
      message: expect.stringContaining(words) as string,
    };
    await expect(apart({ stream: streamOf(blob), ...options })).rejects.toMatchObject(failure);
    expect(children()).toEqual([]);
  });

  test('a source that breaks is an error, not the end', async () => {
    const source = Readable.from(
      (async function* () {
        yield gz.subarray(0, 2 << 20);
        await Promise.resolve();
        throw new Error('connection lost');
      })(),
      { objectMode: false },
    );
    await expect(apart({ stream: source })).rejects.toThrow('connection lost');
    expect(children()).toEqual([]);
  });

  const endless = (): Readable => {
    const source = new PassThrough();
    source.write(gz.subarray(0, 2 << 20));
    return source;
  };

  test('who aborts ends the process', async () => {
    const stop = new AbortController();
    const source = endless();
    const adding = apart({ stream: source, signal: stop.signal });
    adding.catch(() => undefined);
    while (children().length === 0) await new Promise(setImmediate);
    stop.abort();
    await expect(adding).rejects.toMatchObject({ name: 'AbortError' });
    expect(source.destroyed).toBe(true);
    expect(children()).toEqual([]);
  });

  test('a process that is killed is an error', async () => {
    const adding = apart({ stream: endless() });
    adding.catch(() => undefined);
    while (children().length === 0) await new Promise(setImmediate);
    for (const pid of children()) process.kill(Number(pid), 'SIGKILL');
    await expect(adding).rejects.toThrow('the layer could not be converted: the process ended (SIGKILL)');
  });
});
