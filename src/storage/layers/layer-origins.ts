// Where layers are besides here: the repositories they were pulled from or pushed to, and the blob that stands for them
// there. With it a push finds them again without sending a byte.

import type { Reference } from '../../registry/reference';
import type { BlobDescriptor } from '../../registry/registry-upload';
import type { DocumentStore } from '../contract/stores';

export interface LayerOrigin extends BlobDescriptor {
  /** With its registry: `127.0.0.1:5000/layers`. */
  repository: string;
}

interface OriginDocument {
  diffId: string;
  /** Latest first. */
  origins: LayerOrigin[];
}

const collection = 'layer-origins';
/** As dockerd. */
const maxOrigins = 50;

export function repositoryOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

export class LayerOrigins {
  readonly #documents: DocumentStore;

  constructor(documents: DocumentStore) {
    this.#documents = documents;
  }

  /** Latest first. */
  of(diffId: string): readonly LayerOrigin[] {
    return this.#documents.get<OriginDocument>(collection, diffId)?.origins ?? [];
  }

  note(diffId: string, { digest, size }: BlobDescriptor, repository: string): void {
    const known = this.of(diffId);
    const [latest] = known;
    if (latest?.digest === digest && latest.repository === repository) return;
    const others = known.filter((origin) => origin.digest !== digest || origin.repository !== repository);
    const origins = [{ digest, size, repository }, ...others].slice(0, maxOrigins);
    this.#documents.put(collection, diffId, { diffId, origins });
  }

  forget(diffId: string): void {
    this.#documents.delete(collection, diffId);
  }
}
