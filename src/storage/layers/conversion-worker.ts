// The process that converts one layer, and ends. conversion-process.ts starts it: the first message is the job, and without a file the layer
// comes on standard input.

import { errorMessage, isDaemonError } from '../../errors';
import { openRange, type ConversionJob, type FromWorker, type ToWorker } from './conversion-job';
import { convertLayer } from './layer-conversion';

/** Resolves when it is on its way: what ends the process must not overtake it. */
function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}

const stop = new AbortController();

async function convert({ file, blobPath, diskPath, ...source }: ConversionJob): Promise<void> {
  const onRead = (bytes: number): void => void tell({ kind: 'read', bytes });
  const onVerified = (): void => void tell({ kind: 'verified' });
  const stream = file === undefined ? process.stdin : openRange(file, onRead);
  stop.signal.addEventListener('abort', () => stream.destroy(new Error('given up')));
  try {
    const layer = await convertLayer(
      { ...source, stream, onVerified, signal: stop.signal },
      blobPath,
      diskPath,
    );
    await tell({ kind: 'converted', layer });
  } catch (error) {
    const code = isDaemonError(error) ? error.code : undefined;
    await tell({ kind: 'failed', code, text: errorMessage(error) });
  }
  process.exit();
}

// The daemon has ended. So will the tools, of which this is the other end.
process.once('disconnect', () => process.exit());
process.on('message', (message: ToWorker) => {
  if (message.kind === 'abort') stop.abort();
  else void convert(message.job);
});
