// A DocumentStore in memory. Two of them over the same `contents` are a daemon before and after its restart.

import type { DocumentStore } from '../../../src/storage/contract/stores';

export type Contents = Map<string, Map<string, string>>;

export class MemoryDocuments implements DocumentStore {
  readonly #contents: Contents;

  constructor(contents: Contents = new Map()) {
    this.#contents = contents;
  }

  put(collection: string, id: string, value: object): void {
    this.#collection(collection).set(id, JSON.stringify(value));
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as in the interface
  get<T>(collection: string, id: string): T | undefined {
    const text = this.#collection(collection).get(id);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  all<T>(collection: string): T[] {
    return [...this.#collection(collection).values()].map((text) => JSON.parse(text) as T);
  }

  delete(collection: string, id: string): void {
    this.#collection(collection).delete(id);
  }

  transaction<T>(work: () => T): T {
    return work();
  }

  close(): void {
    // nothing is open
  }

  #collection(name: string): Map<string, string> {
    const found = this.#contents.get(name) ?? new Map<string, string>();
    this.#contents.set(name, found);
    return found;
  }
}
