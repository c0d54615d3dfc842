// Documents as the cluster has them at one moment, and what work on them has changed since: so that what is written for documents
// at hand (ImageIndex) decides here too, and its changes then go to the cluster, all tried again if somebody was faster.

import type { DocumentStore } from '../../storage/contract/stores';

/** Undefined: deleted. */
export interface DocumentChange {
  collection: string;
  id: string;
  value: object | undefined;
}

export class ChangedDocuments implements DocumentStore {
  readonly #collections = new Map<string, Map<string, object>>();
  readonly #changes = new Map<string, DocumentChange>();

  /** Lets a document be there that is no change. */
  have(collection: string, id: string, value: object): void {
    this.#collection(collection).set(id, value);
  }

  /** The last one of each document, in the order in which they were first changed. */
  changes(): DocumentChange[] {
    return [...this.#changes.values()];
  }

  put(collection: string, id: string, value: object): void {
    this.#collection(collection).set(id, value);
    this.#change({ collection, id, value });
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller knows what it has put
  get<T>(collection: string, id: string): T | undefined {
    return this.#collection(collection).get(id) as T | undefined; // as the contract says
  }

  all<T>(collection: string): T[] {
    return [...this.#collection(collection).values()] as T[]; // as the contract says
  }

  delete(collection: string, id: string): void {
    if (this.#collection(collection).delete(id)) this.#change({ collection, id, value: undefined });
  }

  transaction<T>(work: () => T): T {
    return work();
  }

  close(): void {
    this.#collections.clear();
  }

  #collection(name: string): Map<string, object> {
    const known = this.#collections.get(name);
    if (known !== undefined) return known;
    const made = new Map<string, object>();
    this.#collections.set(name, made);
    return made;
  }

  #change(change: DocumentChange): void {
    this.#changes.set(`${change.collection}/${change.id}`, change);
  }
}
