// A blob into a client's content store (containerd.services.content.v1, Write): it is asked where to go on, given the bytes, and told
// what they must be.

import { BuildError } from '../contract/errors';
import { writeAction, type WriteContentRequestInit, type WriteContentResponse } from '../messages/content';
import type { ClientStream } from '../wire/client';
import { GrpcError, statusCodes } from '../wire/status';

type WriteStream = ClientStream<WriteContentResponse, WriteContentRequestInit>;

const chunkBytes = 1024 * 1024;

/** Rejects with GrpcError, or what the content failed with. */
export async function writeContent(
  stream: WriteStream,
  { digest, sizeBytes }: { digest: string; sizeBytes: number },
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const told = { ref: `caisson-${digest}`, total: sizeBytes, expected: digest };
  const ask = async (message: WriteContentRequestInit): Promise<number | undefined> => {
    try {
      await stream.send({ ...told, ...message });
    } catch (error) {
      await stream.receive(); // one that refuses says why
      throw error;
    }
    return (await stream.receive())?.offset;
  };
  try {
    let begun = await ask({ action: writeAction.stat });
    if (begun === undefined || begun < 0 || begun > sizeBytes)
      throw new BuildError(
        'InvalidArgument',
        `the client's content store is at an impossible place of ${digest}`,
      );
    let offset = 0;
    for await (const chunk of content) {
      // what an earlier transfer has left there
      const skipped = Math.min(begun, chunk.length);
      begun -= skipped;
      offset += skipped;
      for (let at = skipped; at < chunk.length; at += chunkBytes) {
        const data = chunk.subarray(at, at + chunkBytes);
        await ask({ action: writeAction.write, offset, data });
        offset += data.length;
      }
    }
    await ask({ action: writeAction.commit, offset });
  } catch (error) {
    if (error instanceof GrpcError && error.code === statusCodes.alreadyExists) return;
    throw error;
  }
}
