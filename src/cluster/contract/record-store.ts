// Records of one kind in the cluster.

/** A record with its object's name, and the version that a change must find. */
export interface Stored<T> {
  name: string;
  version: string;
  value: T;
}

/** Throws Conflict where an object is there already, or is not of that version any more; NotFound where it is gone. */
export interface RecordStore<T> {
  /** From the API itself. */
  list(): Promise<Stored<T>[]>;
  get(name: string): Promise<Stored<T>>;
  create(name: string, value: T): Promise<Stored<T>>;
  replace(name: string, version: string, value: T): Promise<Stored<T>>;
  remove(name: string, version: string): Promise<void>;
}

/** Records that are followed: each change of anybody's is told, in the order in which the cluster took them. */
export interface WatchedRecords<T> extends RecordStore<T> {
  /** Resolves when all that there is was told of. `removed` has what was known last. */
  watch(told: { changed(stored: Stored<T>): void; removed(stored: Stored<T>): void }): Promise<void>;
}
