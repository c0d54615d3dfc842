// attach/ws: the container's streams as binary messages, by the `ws` package.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, createWebSocketStream } from 'ws';
import type { WebSocket } from 'ws';
import { isAtLeast } from './api-version';
import type { StreamClient } from './backend';
import { isUpgrade, takeSocket } from '../http/hijack';

/** A message from a client is a piece of stdin: nobody needs large ones. */
const maxMessageBytes = 2 ** 20;
const server = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes, perMessageDeflate: false });

/** True if the request asks for a WebSocket and can have one. */
export function isWebSocketRequest(request: IncomingMessage): boolean {
  return isUpgrade(request) && request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Answers 101. Throws if the handshake is refused, which has been answered then. */
export function acceptWebSocket(
  request: IncomingMessage,
  response: ServerResponse,
  options: { stdin: boolean },
): WebSocketClient {
  const socket = takeSocket(request, response);
  let client: WebSocketClient | undefined;
  server.handleUpgrade(request, socket, Buffer.alloc(0), (webSocket) => {
    client = new WebSocketClient(webSocket, { ...options, binary: isAtLeast(request, 28) });
  });
  if (client === undefined) throw new Error('the WebSocket handshake was refused');
  return client;
}

/** stdout and stderr go out unframed, in one stream, as dockerd sends them. `finish` must be called once. */
export class WebSocketClient {
  readonly client: StreamClient;
  private readonly webSocket: WebSocket;
  private readonly binary: boolean;
  private readonly gone = new AbortController();

  constructor(webSocket: WebSocket, options: { stdin: boolean; binary: boolean }) {
    this.webSocket = webSocket;
    this.binary = options.binary;
    webSocket.on('error', () => undefined); // 'close' follows
    webSocket.once('close', () => this.gone.abort());
    this.client = {
      // without a reader, messages are dropped and the end is seen all the same
      stdin: options.stdin ? messagesOf(createWebSocketStream(webSocket)) : undefined,
      write: (_stream, data) => this.write(data),
      signal: this.gone.signal,
    };
  }

  private write(data: Buffer): Promise<void> {
    const { webSocket } = this;
    if (webSocket.readyState !== webSocket.OPEN) return Promise.resolve();
    return new Promise((resolve) => webSocket.send(data, { binary: this.binary }, () => resolve()));
  }

  finish(): void {
    this.webSocket.close();
  }
}

async function* messagesOf(stream: Duplex): AsyncGenerator<Buffer, void, undefined> {
  stream.on('error', () => undefined);
  try {
    // a WebSocket stream reads buffers
    for await (const part of stream.iterator({ destroyOnReturn: false })) yield part as Buffer;
  } catch {
    // broken by the client: `signal` tells
  } finally {
    stream.resume();
  }
}
