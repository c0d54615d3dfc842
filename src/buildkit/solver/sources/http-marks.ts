// What URLs had the last time, by the marks that servers gave: one that still counts saves the download.

import { createHash } from 'node:crypto';
import type { DocumentStore } from '../../contract/host';

const collection = 'buildkit-http';
const maxMarks = 1000;
const maxEtagLength = 1024;

export interface HttpMark {
  /** Of the content. */
  readonly checksum: string;
  /** As names in trees are. */
  readonly fileName: string;
  /** Seconds since the epoch; 0: not said. */
  readonly lastModified: number;
  /** '': the server gave none. */
  readonly etag: string;
}

interface KeptMark extends HttpMark {
  readonly id: string;
  readonly keptAtMs: number;
}

export class HttpMarks {
  readonly #documents: DocumentStore;
  /** The oldest first. */
  readonly #marks: Map<string, KeptMark>;

  constructor(documents: DocumentStore) {
    this.#documents = documents;
    const kept = documents.all<KeptMark>(collection).sort((a, b) => a.keptAtMs - b.keptAtMs);
    this.#marks = new Map(kept.map((mark) => [mark.id, mark]));
  }

  get(key: string): HttpMark | undefined {
    return this.#marks.get(idOf(key));
  }

  put(key: string, mark: HttpMark): void {
    if (mark.etag.length > maxEtagLength) return;
    const id = idOf(key);
    const kept = { ...mark, id, keptAtMs: Date.now() };
    this.#marks.delete(id);
    this.#marks.set(id, kept);
    this.#documents.put(collection, id, kept);
    for (const old of this.#marks.keys()) {
      if (this.#marks.size <= maxMarks) return;
      this.#marks.delete(old);
      this.#documents.delete(collection, old);
    }
  }
}

/** URLs may have passwords in them. */
function idOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
