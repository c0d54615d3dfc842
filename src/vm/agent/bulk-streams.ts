// A job's streams by way of the bulk disk: records on its channels say what lies in which slot (docs/agent-protocol.md,
// "Bulk data"). What comes from the guest is checked; a length is the only number there is.

import { Transform, type Readable, type TransformCallback } from 'node:stream';
import type { BulkArea } from '../contract/bulk';
import type { AgentInput } from '../contract/agent';
import { ProtocolError } from './frame';
import { brokenPipe } from './input-channel';
import { bulkPlain, bulkPlainBytes, bulkRecordBytes, bulkSlot } from '../contract/protocol';

/** Tells the guest's job of the slots that it may use again. */
const oneSlot = Buffer.alloc(1);

function header(kind: number, length: number): Buffer {
  const record = Buffer.alloc(bulkRecordBytes);
  record.writeUInt32LE(kind, 0);
  record.writeUInt32LE(length, 4);
  return record;
}

/** Sends a stream: small ones as plain bytes, of others what follows the beginning through the disk. */
export class BulkWriter implements Pick<AgentInput, 'write' | 'end'> {
  readonly #input: AgentInput;
  readonly #area: BulkArea;
  #plainBytes = 0;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #turn = 0;
  #released = 0;
  #closed: Error | undefined;
  #wake: () => void = () => undefined;

  /** `releases` are the job's bytes for slots that it has read. */
  constructor(input: AgentInput, area: BulkArea, releases: Readable) {
    this.#input = input;
    this.#area = area;
    releases.on('data', (bytes: Buffer) => {
      this.#released += bytes.length;
      if (this.#released > this.#turn)
        releases.destroy(new ProtocolError('a slot is released that was not filled'));
      this.#wake();
    });
    releases.once('close', () => {
      this.#closed = brokenPipe(input.channel);
      this.#wake();
    });
  }

  /** One at a time. Resolves when there is room for more; rejects with EPIPE when the job is over. */
  async write(data: Buffer): Promise<void> {
    let rest = data;
    if (this.#plainBytes < bulkPlainBytes) {
      const plain = rest.subarray(0, bulkPlainBytes - this.#plainBytes);
      rest = rest.subarray(plain.length);
      this.#plainBytes += plain.length;
      await this.#writePlain([plain], plain.length);
    }
    const { slotBytes } = this.#area.guest;
    while (rest.length > 0) {
      const part = rest.subarray(0, slotBytes - this.#gatheredBytes);
      rest = rest.subarray(part.length);
      this.#gathered.push(part);
      this.#gatheredBytes += part.length;
      if (this.#gatheredBytes === slotBytes) await this.#flush();
    }
  }

  end(): void {
    this.#flush().then(
      () => this.#input.end(),
      () => undefined, // the job is over, and says why itself
    );
  }

  async #flush(): Promise<void> {
    const [chunks, length] = [this.#gathered, this.#gatheredBytes];
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (length === 0) return;
    if (length <= bulkPlainBytes) return this.#writePlain(chunks, length);
    while (this.#turn - this.#released >= this.#area.guest.slots) {
      if (this.#closed !== undefined) throw this.#closed;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#closed !== undefined) throw this.#closed; // its part of the disk may be another job's
    await this.#area.write(this.#turn, chunks);
    this.#turn += 1;
    await this.#input.write(header(bulkSlot, length));
  }

  async #writePlain(chunks: Buffer[], length: number): Promise<void> {
    if (length > 0) await this.#input.write(Buffer.concat([header(bulkPlain, length), ...chunks]));
  }
}

/** The stream that a job's records tell of. Fails with ProtocolError for records that make no sense. */
export class BulkReader extends Transform {
  readonly #releases: AgentInput;
  readonly #area: BulkArea;
  #rest: Buffer = Buffer.alloc(0);
  #plainLeft = 0;
  #turn = 0;
  #unsentReleases = 0;
  #wake: () => void = () => undefined;

  constructor(area: BulkArea, releases: AgentInput) {
    super();
    this.#area = area;
    this.#releases = releases;
  }

  override _read(size: number): void {
    this.#wake();
    super._read(size);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#wake();
    super._destroy(error, callback);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#take(chunk).then(
      () => done(),
      (error: unknown) => done(error as Error), // nothing else is thrown
    );
  }

  override _flush(done: TransformCallback): void {
    const isWhole = this.#rest.length === 0 && this.#plainLeft === 0;
    done(isWhole ? null : new ProtocolError('a stream that ends within a record'));
  }

  async #take(chunk: Buffer): Promise<void> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (!this.destroyed) {
      const plain = bytes.subarray(0, this.#plainLeft);
      if (plain.length > 0) await this.#give(plain);
      this.#plainLeft -= plain.length;
      bytes = bytes.subarray(plain.length);
      if (this.#plainLeft > 0 || bytes.length < bulkRecordBytes) break;
      const kind = bytes.readUInt32LE(0);
      const length = bytes.readUInt32LE(4);
      bytes = bytes.subarray(bulkRecordBytes);
      if (kind === bulkPlain) this.#plainLeft = length;
      else if (kind === bulkSlot) await this.#takeSlot(length);
      else throw new ProtocolError(`a record of kind ${kind}`);
    }
    this.#rest = Buffer.from(bytes);
  }

  async #takeSlot(length: number): Promise<void> {
    if (length === 0 || length > this.#area.guest.slotBytes) {
      throw new ProtocolError(`${length} bytes in a slot`);
    }
    const data = await this.#area.read(this.#turn, length);
    this.#turn += 1;
    if (this.#unsentReleases > this.#area.guest.slots) {
      throw new ProtocolError('the guest fills slots and does not ask which are free');
    }
    this.#unsentReleases += 1;
    this.#releases.write(oneSlot).then(
      () => (this.#unsentReleases -= 1),
      () => undefined, // the job is over
    );
    await this.#give(data);
  }

  /** A record of a few bytes may stand for a whole slot: no more than one waits for a reader. */
  async #give(data: Buffer): Promise<void> {
    if (this.push(data) || this.destroyed) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}
