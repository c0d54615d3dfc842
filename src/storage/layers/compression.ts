// Finds out how a stream is compressed, and undoes it. gzip by zlib; the others by their tools, which Debian keeps.

import { spawn } from 'node:child_process';
import { Duplex, PassThrough, Readable, Transform, Writable, type TransformCallback } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { helperEnvironment } from '../../host/helper-environment';
import { DaemonError, errorMessage, isDaemonError, systemErrorCode } from '../../errors';

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Enough to tell them apart. */
const magicBytes = 6;

/** By the first bytes. */
export function detectCompression(head: Buffer): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528) return 'zstd';
  if (head.toString('latin1', 0, 6) === '\u00fd7zXZ\0') return 'xz';
  if (head.toString('latin1', 0, 3) === 'BZh') return 'bzip2';
  return 'none';
}

/** A stream that takes compressed bytes of whatever kind and gives plain ones. */
export function createDecompressor(compression: Compression): Duplex {
  switch (compression) {
    case 'none':
      return new PassThrough({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    case 'gzip':
      return createGunzip({ chunkSize: 1 << 18 });
    case 'zstd':
    case 'xz':
    case 'bzip2':
      return toolStream(compression, ['-dc']);
  }
}

/** In the words of Go's decompressors, what was wrong with gzip data; undefined for any other error. */
export function gzipFailure(error: unknown, bytesRead: number): string | undefined {
  const code = systemErrorCode(error);
  if (code?.startsWith('Z_') !== true) return undefined;
  const message = errorMessage(error);
  if (code === 'Z_BUF_ERROR') return 'unexpected EOF';
  if (message === 'incorrect data check' || message === 'incorrect length check')
    return 'gzip: invalid checksum';
  return message.includes('header')
    ? 'gzip: invalid header'
    : `flate: corrupt input before offset ${bytesRead}`;
}

/** What a tool that decompresses said of its data; undefined for any other error. */
export function toolFailure(error: unknown): string | undefined {
  return isDaemonError(error) && error.code === 'InvalidParameter' ? error.message : undefined;
}

/** zstd at its fastest, for what is kept on this host only. */
export function createZstdCompressor(): Duplex {
  return toolStream('zstd', ['-1', '-c', '-q']);
}

/** As registries have layers. */
export function createCompressor(compression: 'gzip' | 'zstd'): Duplex {
  return compression === 'gzip' ? createGzip({ chunkSize: 1 << 18 }) : toolStream('zstd', ['-3', '-c', '-q']);
}

/** Reads the head of a stream without taking it: resolves with its compression and the whole stream. */
export async function peekCompression(
  source: AsyncIterable<Buffer>,
): Promise<{ compression: Compression; stream: Readable }> {
  const iterator = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < magicBytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* whole(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  const stream = Readable.from(whole(), { objectMode: false, highWaterMark: 1 << 20 });
  return { compression: detectCompression(head), stream };
}

/** What a tool does not want any more is dropped: why it went away says its status, not the broken pipe. */
function untilGone(stdin: Writable): Writable {
  stdin.on('error', () => undefined);
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, () => done()),
    final: (done) => void stdin.end(() => done()),
    destroy: (error, done) => {
      stdin.destroy();
      done(error);
    },
  });
}

function toolStream(program: string, args: readonly string[]): Duplex {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: helperEnvironment() });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 2000);
  });
  const stream = Duplex.from({ writable: untilGone(child.stdin), readable: child.stdout.pipe(untilExit()) });
  child.once('error', (error) =>
    stream.destroy(
      new DaemonError('Internal', `${program} can't be run (${error.message}): see caisson doctor`),
    ),
  );
  stream.once('close', () => child.kill());
  return stream;

  /** The end of the output is only good if the tool says so. */
  function untilExit(): Transform {
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
    return new Transform({
      transform: (chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) => done(null, chunk),
      flush: (done: TransformCallback) => {
        void exited.then((code) => {
          done(
            code === 0 ? null : new DaemonError('InvalidParameter', complaint.trim() || `${program} failed`),
          );
        });
      },
    });
  }
}
