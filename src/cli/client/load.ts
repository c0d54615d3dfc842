// `caisson load`: images from an archive, with a bar of what is sent and one for each layer.

import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Transform, type Readable } from 'node:stream';
import { printable } from '../terminal/style';
import { TransferProgress, type ProgressLine } from '../terminal/transfer-progress';
import { ClientError, type ApiClient } from './api-client';
import type { ClientAction } from './command';
import { write } from './output';

interface LoadOptions {
  input?: string;
  quiet?: boolean;
}

export function addLoadCommand(program: Command, action: ClientAction): void {
  program
    .command('load')
    .description('take images from an archive of docker save or of an OCI layout')
    .option('-i, --input <file>', 'instead of standard input')
    .option('-q, --quiet', 'no progress')
    .action(action(load));
}

async function load(client: ApiClient, { input, quiet = false }: LoadOptions): Promise<void> {
  if (input === undefined && process.stdin.isTTY) {
    throw new Error('nothing is piped in: caisson load -i FILE, or caisson load < FILE');
  }
  const totalBytes = input === undefined ? 0 : await sizeOf(input);
  const source: Readable = input === undefined ? process.stdin : createReadStream(input);
  const progress = new TransferProgress(process.stderr);
  const take = (line: ProgressLine): void => {
    if (!quiet) progress.take(line);
  };
  let sentBytes = 0;
  const counted = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      sentBytes += chunk.length;
      if (totalBytes > 0)
        take({ id: 'archive', status: 'Sending', progressDetail: { current: sentBytes, total: totalBytes } });
      done(undefined, chunk);
    },
  });
  source.once('error', (error) => counted.destroy(error));
  const loaded: string[] = [];
  try {
    const stream = await client.docker.loadImage(source.pipe(counted));
    await new Promise<void>((resolve, reject) => {
      client.docker.modem.followProgress(
        stream,
        (error) => {
          if (error === null) resolve();
          else reject(error);
        },
        (line: ProgressLine & { stream?: string }) => {
          if (line.stream === undefined) take(line);
          else loaded.push(line.stream);
        },
      );
    });
  } catch (error) {
    throw new ClientError(
      0,
      `${input ?? 'what came in'} could not be loaded: ${client.explain(error).message}`,
    );
  } finally {
    progress.end();
    source.destroy();
  }
  write(loaded.map((text) => `${printable(text.trimEnd())}\n`).join(''));
}

async function sizeOf(path: string): Promise<number> {
  const file = await open(path).catch((error: unknown) => {
    throw new Error(`${path} can't be read: ${(error as Error).message}`, { cause: error });
  });
  await file.close();
  return (await stat(path)).size;
}
