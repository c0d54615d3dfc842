// The disks of cache mounts: a sparse ext4 file for each, kept from build to build.

import type { CacheDisks } from '../../buildkit/contract/host';
import type { WritableDiskStore } from '../../storage/contract/stores';

export class EngineCacheDisks implements CacheDisks {
  readonly #disks: WritableDiskStore;
  readonly #sizeBytes: number;
  readonly #free: () => Promise<void>;

  /** `disks` has no others. `free`: no VM of an earlier daemon has any of them. */
  constructor(disks: WritableDiskStore, sizeBytes: number, free: () => Promise<void>) {
    this.#disks = disks;
    this.#sizeBytes = sizeBytes;
    this.#free = free;
  }

  async create(id: string): Promise<string> {
    await this.#free();
    const known = await this.#disks.usageBytes(id);
    return known > 0 ? this.#disks.path(id) : this.#disks.create(id, this.#sizeBytes);
  }

  usageBytes(id: string): Promise<number> {
    return this.#disks.usageBytes(id);
  }

  remove(id: string): Promise<void> {
    return this.#disks.remove(id);
  }

  async keepOnly(known: ReadonlySet<string>): Promise<void> {
    for (const id of await this.#disks.list()) if (!known.has(id)) await this.#disks.remove(id);
  }
}
