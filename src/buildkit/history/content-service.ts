// The service Content: what records of builds refer to, read only.

import { BuildError } from '../contract/errors';
import type { Content } from '../messages/content';
import { timestamp } from '../messages/google';
import type { Handlers } from '../wire/server';
import { GrpcError, statusCodes } from '../wire/status';
import type { BlobInfo } from './blobs';

/** Where blobs are; the first that has one gives it. */
export interface ContentProvider {
  info(digest: string): Promise<BlobInfo | undefined>;
  /** What it has, where that is for clients to know. */
  list?(): Promise<readonly string[]>;
  /** Bytes from `offset` up to `end`, which is not included. */
  read(digest: string, offset: number, end: number): AsyncIterable<Buffer>;
}

const chunkBytes = 1024 * 1024;

export function contentHandlers(
  providers: readonly ContentProvider[],
): Handlers<(typeof Content)['methods']> {
  async function find(digest: string): Promise<{ provider: ContentProvider; info: BlobInfo }> {
    for (const provider of providers) {
      const info = await provider.info(digest);
      if (info !== undefined) return { provider, info };
    }
    // clients look at the code
    throw new GrpcError(statusCodes.notFound, `content ${digest.slice(0, 200)}: not found`);
  }
  return {
    async Info({ digest }) {
      const { info } = await find(digest);
      return { info: infoMessage(digest, info) };
    },
    async List({ filters }, { signal }, send) {
      if (filters.length > 0) throw new BuildError('Unimplemented', 'filters of content are not supported');
      for (const provider of providers) {
        for (const digest of (await provider.list?.()) ?? []) {
          signal.throwIfAborted();
          const info = await provider.info(digest);
          if (info !== undefined) await send({ info: [infoMessage(digest, info)] });
        }
      }
    },
    async Read({ digest, offset, size }, { signal }, send) {
      const { provider, info } = await find(digest);
      if (offset < 0 || offset > info.size)
        throw new BuildError('InvalidArgument', `read past object length ${info.size} bytes`);
      const end = size <= 0 ? info.size : Math.min(info.size, offset + size);
      let at = offset;
      for await (const chunk of provider.read(digest, offset, end)) {
        for (let i = 0; i < chunk.length; i += chunkBytes) {
          signal.throwIfAborted();
          const data = chunk.subarray(i, i + chunkBytes);
          await send({ offset: at, data });
          at += data.length;
        }
      }
    },
  };
}

function infoMessage(
  digest: string,
  { size, createdAtMs }: BlobInfo,
): {
  digest: string;
  size: number;
  created_at: ReturnType<typeof timestamp>;
  updated_at: ReturnType<typeof timestamp>;
} {
  const time = timestamp(createdAtMs);
  return { digest, size, created_at: time, updated_at: time };
}
