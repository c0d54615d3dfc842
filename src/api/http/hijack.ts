// Connections that stop speaking HTTP: attach, exec. With `Upgrade` Node has already let go of the socket (server.ts
// registers it here); without, we take the socket away from Node's parser.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { DaemonError } from '../../errors';

interface Upgrade {
  socket: Socket;
  /** What arrived behind the request's header: body first, then the client's stream. */
  head: Buffer;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();
const keepAliveMs = 15_000;
/** Longest pause within a small body. */
const bodyPauseMs = 20_000;
/** How long a finished stream waits for its client to close. */
const lingerMs = 3_000;

/**
 * Called for each request with an `Upgrade` header, before it is routed: whoever answers it may take the socket. If nobody
 * does, `response` is an ordinary answer and the end of the connection.
 */
export function prepareUpgrade(
  request: IncomingMessage,
  response: ServerResponse,
  { socket, head }: Upgrade,
): void {
  socket.on('error', () => undefined); // 'close' follows
  upgrades.set(request, { socket, head });
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  const onDrain = () => response.emit('drain');
  socket.on('drain', onDrain);
  response.once('finish', () => {
    socket.off('drain', onDrain);
    response.detachSocket(socket);
    closeGently(socket);
  });
}

/** True if Node handed over the socket because of an `Upgrade` header. */
export function isUpgrade(request: IncomingMessage): boolean {
  return upgrades.has(request);
}

/**
 * The body of an upgraded request, which Node leaves on the socket; undefined for other requests. Throws TooLarge past
 * `limit`, InvalidParameter for a chunked body or one that is cut short.
 */
export function upgradedBody(request: IncomingMessage, limit: number): Promise<Buffer> | undefined {
  const upgrade = upgrades.get(request);
  if (upgrade === undefined) return undefined;
  return readUpgradedBody(request, upgrade, limit);
}

async function readUpgradedBody(request: IncomingMessage, upgrade: Upgrade, limit: number): Promise<Buffer> {
  if (request.headers['transfer-encoding'] !== undefined) {
    throw new DaemonError('InvalidParameter', 'a chunked body with an Upgrade header is not supported');
  }
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > limit) throw new DaemonError('TooLarge', 'http: request body too large');
  while (upgrade.head.length < length) {
    const more = await readSome(upgrade.socket);
    if (more === undefined) throw new DaemonError('InvalidParameter', 'unexpected EOF');
    upgrade.head = Buffer.concat([upgrade.head, more]);
  }
  const body = upgrade.head.subarray(0, length);
  upgrade.head = upgrade.head.subarray(length);
  return body;
}

/** The next bytes; undefined at the end, or when they are too long in coming. Leaves no listener of ours behind. */
function readSome(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      attempt();
    }, bodyPauseMs);
    function attempt(): void {
      // without an encoding a socket reads buffers
      const part = socket.read() as Buffer | null;
      if (part === null && !socket.readableEnded && !socket.destroyed && !late) return;
      clearTimeout(timer);
      socket.off('readable', attempt).off('end', attempt).off('close', attempt);
      resolve(part ?? undefined);
    }
    socket.on('readable', attempt).on('end', attempt).on('close', attempt);
    attempt();
  });
}

/**
 * Takes the socket from HTTP, for good: the caller writes the status line and closes it. Call it after the request's
 * body was read. What the client sent behind the request is next on the socket.
 */
export function takeSocket(request: IncomingMessage, response: ServerResponse): Socket {
  const { socket } = request;
  const upgrade = upgrades.get(request);
  response.detachSocket(socket);
  if (upgrade === undefined) detachParser(socket);
  else if (upgrade.head.length > 0) socket.unshift(upgradedStream(request, upgrade.head));
  socket.on('error', () => undefined); // 'close' follows
  socket.setTimeout(0);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  return socket;
}

/** Sends what is written, then closes; the peer's remaining input is dropped. */
export function closeGently(socket: Socket): void {
  if (socket.destroyed) return;
  socket.end();
  if (socket.readableEnded) {
    socket.destroySoon();
    return;
  }
  // destroying it with unread input would make the kernel throw away output on its way
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroySoon());
  socket.resume();
}

/** Node's parser reads a socket until it has a `data` listener of somebody else's and none of its own. */
function detachParser(socket: Socket): void {
  for (const event of ['data', 'end', 'drain', 'timeout', 'error']) socket.removeAllListeners(event);
}

/** A client with an empty chunked body sends its last chunk, which is not part of the stream. */
function upgradedStream(request: IncomingMessage, head: Buffer): Buffer {
  const lastChunk = '0\r\n\r\n';
  if (request.headers['transfer-encoding'] === undefined) return head;
  return head.subarray(0, lastChunk.length).toString('latin1') === lastChunk
    ? head.subarray(lastChunk.length)
    : head;
}
