// Large layers are converted by a process of their own, the other end of which is conversion-worker.ts: there is little for its
// collector of garbage to look at, what it has used goes back with it, and a layer that takes all its memory ends it and not the daemon.

import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { drained } from '../../async/drained';
import { DaemonError } from '../../errors';
import { helperEnvironment } from '../../host/helper-environment';
import { convertLayer, type ConvertedLayer, type LayerSource } from './layer-conversion';
import {
  openRange,
  type ConversionJob,
  type FileRange,
  type FromWorker,
  type ToWorker,
} from './conversion-job';

export interface ConversionSource extends Omit<LayerSource, 'stream'> {
  stream: Readable | FileRange;
  /** Of a file, whenever some more of it was read. */
  onRead?: ((bytes: number) => void) | undefined;
}

export interface ProcessOptions {
  /** For a smaller layer a process would cost more than it saves. */
  minBytes?: number;
  /** The compiled worker. Where there is none (sources that run uncompiled) all is done in this process. */
  script?: string;
}

const defaultMinBytes = 4 << 20;
const maxProcesses = 4;
/** Of names and headers. Those of honest layers are some tens of MiB. */
const maxHeapMib = 2048;

let processes = 0;

/** As `convertLayer`, with the same errors; when the process ends early, that is Internal. */
export async function convertLayerApart(
  source: ConversionSource,
  blobPath: string,
  diskPath: string,
  { minBytes = defaultMinBytes, script = join(__dirname, 'conversion-worker.js') }: ProcessOptions = {},
): Promise<ConvertedLayer> {
  const { stream, onRead, signal } = source;
  const known = stream instanceof Readable ? source.blobBytes : stream.bytes;
  const isApart = processes < maxProcesses && existsSync(script) && (known ?? Infinity) >= minBytes;
  if (!isApart) {
    const whole = stream instanceof Readable ? stream : openRange(stream, onRead);
    return convertLayer({ ...source, stream: whole }, blobPath, diskPath);
  }
  try {
    const job = { ...source, blobPath, diskPath };
    if (!(stream instanceof Readable)) return await inProcess(script, job, stream);
    if (signal !== undefined) addAbortSignal(signal, stream);
    const { whole, all } = await readAhead(stream, minBytes);
    if (whole !== undefined) return await convertLayer({ ...source, stream: whole }, blobPath, diskPath);
    return await inProcess(script, job, all);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** The whole of a short stream, or all that a longer one gives. */
async function readAhead(
  stream: Readable,
  bytes: number,
): Promise<{ whole: Readable; all?: never } | { whole?: never; all: AsyncIterable<Buffer> }> {
  const iterator = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  for (let length = 0; length < bytes;) {
    const next = await iterator.next();
    if (next.done === true) return { whole: Readable.from(head, { objectMode: false }) };
    head.push(next.value);
    length += next.value.length;
  }
  async function* all(): AsyncGenerator<Buffer> {
    for (let chunk = head.shift(); chunk !== undefined; chunk = head.shift()) yield chunk;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { all: all() };
}

async function inProcess(
  script: string,
  { blobPath, diskPath, ...source }: ConversionSource & { blobPath: string; diskPath: string },
  input: AsyncIterable<Buffer> | FileRange,
): Promise<ConvertedLayer> {
  const { onVerified, onRead, signal } = source;
  signal?.throwIfAborted();
  const file = Symbol.asyncIterator in input ? undefined : input;
  const { blobDigest, blobBytes, processingPrefix, maxTarBytes, maxNamesPerDirectory } = source;
  const told = { blobDigest, blobBytes, processingPrefix, maxTarBytes, maxNamesPerDirectory };
  const job: ConversionJob = { ...told, file, blobPath, diskPath };
  const child = fork(script, [], {
    stdio: [file === undefined ? 'pipe' : 'ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [`--max-old-space-size=${String(maxHeapMib)}`],
    env: helperEnvironment(),
  });
  processes += 1;
  const tell = (message: ToWorker): void => void child.send(message, () => undefined); // one that has gone is told of by its end
  const abort = (): void => tell({ kind: 'abort' });
  signal?.addEventListener('abort', abort);
  const ended = new Promise<void>((resolve) => {
    child.once('close', resolve).once('error', () => resolve());
  });
  try {
    const answer = answerOf(child, { onVerified, onRead });
    answer.catch(() => undefined); // awaited below, after what is fed to it
    tell({ kind: 'convert', job });
    if (!(Symbol.asyncIterator in input)) return await answer;
    const fed = feed(input, child).catch((error: unknown) => {
      abort();
      throw error;
    });
    fed.catch(() => undefined); // of no interest to who has an answer
    await Promise.race([fed, answer]);
    return await answer;
  } finally {
    signal?.removeEventListener('abort', abort);
    await ended; // nothing is written any more
    processes -= 1;
  }
}

/** Ends early when the process wants no more. */
async function feed(input: AsyncIterable<Buffer>, { stdin }: ChildProcess): Promise<void> {
  if (stdin === null) return;
  stdin.on('error', () => undefined); // why it went away says its answer, or its end
  for await (const chunk of input) {
    if (stdin.destroyed) return;
    if (!stdin.write(chunk)) await drained(stdin);
  }
  stdin.end();
}

function answerOf(
  child: ChildProcess,
  { onVerified, onRead }: Pick<ConversionSource, 'onVerified' | 'onRead'>,
): Promise<ConvertedLayer> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 2000);
  });
  return new Promise((resolve, reject) => {
    const failed = (why: string): void =>
      reject(new DaemonError('Internal', `the layer could not be converted: ${why}`));
    child.on('message', (message: FromWorker) => {
      if (message.kind === 'read') onRead?.(message.bytes);
      else if (message.kind === 'verified') onVerified?.();
      else if (message.kind === 'converted') resolve(message.layer);
      else
        reject(
          message.code === undefined ? new Error(message.text) : new DaemonError(message.code, message.text),
        );
    });
    child.once('error', (error) => failed(error.message));
    child.once('close', (code, signal) =>
      failed(complaint.trim() || `the process ended (${String(code ?? signal)})`),
    );
  });
}
