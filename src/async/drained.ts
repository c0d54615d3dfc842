// Waiting for whoever reads what is written.

import type { Writable } from 'node:stream';

/** Resolves when what was written has gone on, but for what the system holds; also when the stream is gone. */
export async function drained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      stream.off('drain', settle).off('close', settle);
      resolve();
    };
    stream.on('drain', settle).on('close', settle);
    if (stream.destroyed) settle();
  });
}
