// DNS messages on TCP: a length of two bytes in front of each (RFC 1035, 4.2.2).

export function frameDnsMessage(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(message.length + 2);
  frame.writeUInt16BE(message.length, 0);
  message.copy(frame, 2);
  return frame;
}

/** Cuts a stream into messages. Holds one incomplete message at most, so 64 KiB. */
export class DnsStreamReader {
  readonly #onMessage: (message: Buffer) => void;
  #buffer = Buffer.alloc(0);

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length >= 2) {
      const length = this.#buffer.readUInt16BE(0);
      if (this.#buffer.length < length + 2) return;
      const message = this.#buffer.subarray(2, length + 2);
      this.#buffer = this.#buffer.subarray(length + 2);
      this.#onMessage(message);
    }
  }
}
