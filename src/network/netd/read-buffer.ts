// What one connection reads into: little while it sends little, more while it fills that.

/** Of a connection that sends nothing much: there may be thousands. */
const smallBytes = 16 * 1024;
/** Of one that sends as fast as it can: a read costs by the call more than by the byte. */
const largeBytes = 256 * 1024;
/** Of all connections together. */
const maxLarge = 64;

let largeInUse = 0;

export class ReadBuffer {
  #bytes = Buffer.allocUnsafeSlow(smallBytes);

  /** For the next read. It may be the one of the last read: whoever still needs what is in it does not read on. */
  next(): Buffer {
    return this.#bytes;
  }

  /** Tells how much the last read gave. */
  filled(bytes: number): void {
    if (!this.#isLarge() && bytes === smallBytes && largeInUse < maxLarge) {
      largeInUse += 1;
      this.#bytes = Buffer.allocUnsafeSlow(largeBytes);
    } else if (bytes < smallBytes) {
      this.release();
    }
  }

  /** Gives back what others could have. It may be used further. */
  release(): void {
    if (!this.#isLarge()) return;
    largeInUse -= 1;
    this.#bytes = Buffer.allocUnsafeSlow(smallBytes);
  }

  #isLarge(): boolean {
    return this.#bytes.length === largeBytes;
  }
}
