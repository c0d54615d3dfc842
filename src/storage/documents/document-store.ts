// documents/: records.
//
// DocumentStore on SQLite: JSON documents by collection and id in one table, written ahead (WAL). Room for what must be
// recorded is held in advance, so that a full disk keeps nobody from stopping or removing what is there.

import Database from 'better-sqlite3';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DaemonError, noSpaceText, systemErrorCode } from '../../errors';
import type { DocumentStore } from '../contract/stores';
import { migrate } from './migrations';

/** Of the log written ahead: what SQLite lets it grow to before it is emptied (1000 pages), a refill of the reserve, and more. */
const logBytes = 8 * 1024 * 1024;
/** Free pages within the database: how many there are after a refill, when it is refilled, and what new documents leave. */
const reservedPages = { full: 512, low: 256, last: 64 };
const pageBytes = 4096;

/** Opens (or makes) the database, and brings what an earlier release has written to this one's form. Throws Internal when a newer daemon has written it. */
export function openDocumentStore(path: string): DocumentStore {
  // SQLite gives the files beside it the mode that it has when they are made.
  closeSync(openSync(path, 'a', 0o600));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
  const database = new Database(path);
  // There is one daemon for a data root: the index of the log can be in memory, and needs no file that a full disk refuses.
  database.pragma('locking_mode = EXCLUSIVE');
  database.pragma('journal_mode = WAL');
  // A crash of the daemon loses nothing; one of the host may lose the last writes, never the database.
  database.pragma('synchronous = NORMAL');
  migrate(database);
  holdLogSpace(`${path}-wal`);
  const reserve = new PageReserve(database);
  const statements = {
    put: database.prepare<[string, string, string]>(
      'INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    ),
    get: database.prepare<[string, string], { value: string }>(
      'SELECT value FROM documents WHERE collection = ? AND id = ?',
    ),
    all: database.prepare<[string], { value: string }>(
      'SELECT value FROM documents WHERE collection = ? ORDER BY id',
    ),
    delete: database.prepare<[string, string]>('DELETE FROM documents WHERE collection = ? AND id = ?'),
  };
  return {
    put: (collection, id, value) =>
      orNoSpace(() => {
        if (reserve.isLow() && statements.get.get(collection, id) === undefined) throw noSpace();
        statements.put.run(collection, id, JSON.stringify(value));
      }),
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as in the interface
    get: <T>(collection: string, id: string): T | undefined => {
      const row = statements.get.get(collection, id);
      return row === undefined ? undefined : (JSON.parse(row.value) as T); // what `put` was given
    },

    all: <T>(collection: string): T[] =>
      statements.all.all(collection).map((row) => JSON.parse(row.value) as T),
    delete: (collection, id) => orNoSpace(() => void statements.delete.run(collection, id)),
    transaction: <T>(work: () => T): T => orNoSpace(() => database.transaction(work)()),
    close: () => void database.close(),
  };
}

/** Free pages of the database, which its documents take before the file has to grow. */
class PageReserve {
  readonly #database: Database.Database;
  readonly #freePages: Database.Statement<[], number>;
  readonly #directory: string;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#directory = dirname(database.name);
    this.#freePages = database.prepare<[], number>('PRAGMA freelist_count').pluck();
    this.isLow();
  }

  /** Whether only what is recorded already may still be written. Refills the reserve where there is room. */
  isLow(): boolean {
    if (this.#pages() >= reservedPages.low) return false;
    // Within a transaction the refill would be part of it, and fail it.
    if (!this.#database.inTransaction) this.#refill();
    return this.#pages() < reservedPages.last;
  }

  #pages(): number {
    return this.#freePages.get() ?? 0;
  }

  #refill(): void {
    // The log would take what the database then has no room for, and could not be emptied any more.
    const { bavail, bsize } = statfsSync(this.#directory);
    if (bavail * bsize < 4 * reservedPages.full * pageBytes) return;
    const database = this.#database;
    try {
      database.exec(`
        DROP TABLE IF EXISTS reserve;
        CREATE TABLE reserve (pages BLOB);
        INSERT INTO reserve VALUES (zeroblob(${reservedPages.full * pageBytes}));
      `);
      // Pages that were free before they got into the file would be a hole in it.
      database.pragma('wal_checkpoint');
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    try {
      database.exec('DROP TABLE IF EXISTS reserve');
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }
}

/**
 * Makes the log as long as it may become. SQLite writes it from its start over and over; zeros, and what it finds after its
 * last whole frame, are nothing to it. A disk without room leaves it as it is.
 */
function holdLogSpace(path: string): void {
  const file = openSync(path, 'a', 0o600);
  try {
    const { size } = fstatSync(file);
    try {
      for (let left = logBytes - size; left > 0;)
        left -= writeSync(file, zeros, 0, Math.min(left, zeros.length));
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOSPC') throw error;
      ftruncateSync(file, size);
    }
  } finally {
    closeSync(file);
  }
}

const zeros = Buffer.alloc(1024 * 1024);

function orNoSpace<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isFull(error) ? noSpace({ cause: error }) : error;
  }
}

function isFull(error: unknown): boolean {
  return systemErrorCode(error) === 'SQLITE_FULL';
}

function noSpace(options?: ErrorOptions): DaemonError {
  return new DaemonError('Internal', noSpaceText, options);
}
