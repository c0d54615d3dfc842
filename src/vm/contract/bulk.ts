// Where large streams go past the port: parts of a small disk that guest and daemon share (docs/adr/0015-bulk-disk.md).

import type { GuestBulkArea } from './protocol';

/** A part of the disk that one job has for itself. Slots are used in turn: the n-th use is that of slot `n % slots`. */
export interface BulkArea {
  /** What the agent is told of it. */
  readonly guest: GuestBulkArea;
  /** Fills the slot of the `turn`-th use with the chunks, `slotBytes` together at most. Rejects with Internal. */
  write(turn: number, chunks: readonly Buffer[]): Promise<void>;
  /** A copy of what is there, which the guest can't change any more. Rejects with Internal. */
  read(turn: number, length: number): Promise<Buffer>;
  /** When the job is over. Once. */
  release(): Promise<void>;
}

export interface BulkAreas {
  /** Undefined: all are in use, or the VM was started without such a disk. The port is there for these. */
  lease(): Promise<BulkArea | undefined>;
}
