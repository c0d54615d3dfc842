// The receiving side of fsutil's transfer (FileSync.DiffCopy). The client walks and tells what it has; we ask for contents by the
// places in that walk, at any time. Empty data ends a file, an empty stat the walk; we say FIN when we have all, and so does it.

import { BuildError } from '../contract/errors';
import type { FileStat, FilesReceiver } from '../contract/session';
import { packetType, type Packet, type PacketInit, type Stat } from '../messages/files';
import { fileStatOf } from './file-stat';
import { WalkError, WalkOrder } from './walk-order';

/** Entries of one directory. Each is an object in memory. */
const maxEntries = 1_000_000;

export interface PacketStream {
  send(packet: PacketInit): Promise<void>;
  end(): void;
  receive(): Promise<Packet | undefined>;
}

/** Rejects with BuildError InvalidArgument for what is no transfer. The caller ends the stream then. */
export async function receiveFiles(stream: PacketStream, receiver: FilesReceiver): Promise<void> {
  const requests = new Requests(stream);
  const order = new WalkOrder();
  const wanted = new Set<number>();
  let entries = 0;
  let isWalked = false;
  let isOver = false;
  const finishIfDone = (): void => {
    if (isWalked && wanted.size === 0) requests.finish();
  };
  for (let packet = await stream.receive(); packet !== undefined; packet = await stream.receive()) {
    switch (packet.type) {
      case packetType.stat: {
        if (packet.stat === undefined) {
          isWalked = true;
          finishIfDone();
          break;
        }
        if (isWalked) throw invalid('an entry after the end of the walk');
        if (entries >= maxEntries) throw invalid(`more than ${maxEntries} files`);
        const stat = checkedStat(packet.stat, order);
        const isAsked = stat.type === 'file' && stat.linkName === '';
        if (receiver.entry(stat, entries) && isAsked) {
          wanted.add(entries);
          requests.add(entries);
        }
        entries += 1;
        break;
      }
      case packetType.data: {
        if (!wanted.has(packet.ID)) throw invalid(`data of file ${packet.ID}, which nobody asked for`);
        if (packet.data.length > 0) {
          await receiver.data(packet.ID, packet.data);
          break;
        }
        await receiver.end(packet.ID);
        wanted.delete(packet.ID);
        finishIfDone();
        break;
      }
      case packetType.fin:
        isOver = isWalked && wanted.size === 0;
        if (!isOver) throw invalid('the client ended before all files were sent');
        stream.end();
        break;
      case packetType.error:
        throw new BuildError('Unknown', `error from sender: ${packet.data.toString('utf8')}`);
      default:
        throw invalid(`a packet of type ${packet.type}`);
    }
  }
  await requests.done;
  if (!isOver) throw invalid('the client ended before all files were sent');
}

/**
 * Sends what is asked for beside the reading: a client that has enough to do reads no more requests until somebody takes what it
 * sends, which nobody would who waits for it.
 */
class Requests {
  /** Ends when all is sent, or nothing can be: reading tells why. */
  done: Promise<void> = Promise.resolve();
  readonly #stream: PacketStream;
  #queue: PacketInit[] = [];
  #isSending = false;

  constructor(stream: PacketStream) {
    this.#stream = stream;
  }

  add(id: number): void {
    this.#push({ type: packetType.request, ID: id });
  }

  finish(): void {
    this.#push({ type: packetType.fin });
  }

  #push(packet: PacketInit): void {
    this.#queue.push(packet);
    if (!this.#isSending) this.done = this.#send();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue;
        this.#queue = [];
        for (const packet of batch) await this.#stream.send(packet);
      }
    } catch {
      this.#queue = [];
    } finally {
      this.#isSending = false;
    }
  }
}

function checkedStat(sent: Stat, order: WalkOrder): FileStat {
  try {
    const stat = fileStatOf(sent);
    order.add(stat);
    return stat;
  } catch (error) {
    if (error instanceof WalkError || error instanceof RangeError) throw invalid(error.message);
    throw error;
  }
}

function invalid(reason: string): BuildError {
  return new BuildError('InvalidArgument', `invalid file transfer: ${reason}`);
}
