// The sending side of fsutil's transfer (FileSend.DiffCopy): a directory of `--output type=local`.

import { BuildError } from '../contract/errors';
import type { SentFile } from '../contract/session';
import { packetType } from '../messages/files';
import { toStat } from './file-stat';
import type { PacketStream } from './receive-files';

/** As fsutil. */
const chunkBytes = 32 * 1024;

/** Resolves when the client has everything. */
export async function sendFiles(stream: PacketStream, files: AsyncIterable<SentFile>): Promise<void> {
  const contents = new Map<number, NonNullable<SentFile['content']>>();
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => undefined); // told to whoever receives
  const walk = async (): Promise<void> => {
    let index = 0;
    for await (const { stat, content } of files) {
      // before the client can ask for it
      if (content !== undefined) contents.set(index, content);
      await stream.send({ type: packetType.stat, stat: toStat(stat) });
      index += 1;
    }
    await stream.send({ type: packetType.stat });
  };
  const walked = walk();
  walked.catch(fail);
  // one after the other, beside the reading
  let sending = Promise.resolve();
  for (;;) {
    const packet = await Promise.race([stream.receive(), failed]);
    if (packet === undefined) break;
    switch (packet.type) {
      case packetType.request: {
        const content = contents.get(packet.ID);
        if (content === undefined) throw new BuildError('InvalidArgument', `invalid file id ${packet.ID}`);
        contents.delete(packet.ID);
        sending = sending.then(() => sendContent(stream, packet.ID, content));
        sending.catch(fail);
        break;
      }
      case packetType.fin:
        await Promise.all([walked, sending]);
        await stream.send({ type: packetType.fin });
        stream.end();
        break;
      case packetType.error:
        throw new BuildError('Unknown', `error from receiver: ${packet.data.toString('utf8')}`);
      default:
        throw new BuildError('InvalidArgument', `a packet of type ${packet.type}`);
    }
  }
  await walked;
}

async function sendContent(
  stream: PacketStream,
  id: number,
  content: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const chunk of content()) {
    for (let at = 0; at < chunk.length; at += chunkBytes) {
      await stream.send({ type: packetType.data, ID: id, data: chunk.subarray(at, at + chunkBytes) });
    }
  }
  await stream.send({ type: packetType.data, ID: id });
}
