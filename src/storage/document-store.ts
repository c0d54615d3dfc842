// DocumentStore on SQLite: JSON documents by collection and id in one table, written ahead (WAL).

import Database from 'better-sqlite3';
import { DaemonError } from '../errors';
import type { DocumentStore } from './stores';

const schemaVersion = 1;

/** Opens (or makes) the database. Throws Internal when a newer daemon has written it. */
export function openDocumentStore(path: string): DocumentStore {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  // A crash of the daemon loses nothing; one of the host may lose the last writes, never the database.
  database.pragma('synchronous = NORMAL');
  migrate(database, path);
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
    put: (collection, id, value) => void statements.put.run(collection, id, JSON.stringify(value)),
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as in the interface
    get: <T>(collection: string, id: string): T | undefined => {
      const row = statements.get.get(collection, id);
      return row === undefined ? undefined : (JSON.parse(row.value) as T); // what `put` was given
    },

    all: <T>(collection: string): T[] =>
      statements.all.all(collection).map((row) => JSON.parse(row.value) as T),
    delete: (collection, id) => void statements.delete.run(collection, id),
    transaction: <T>(work: () => T): T => database.transaction(work)(),
    close: () => void database.close(),
  };
}

function migrate(database: Database.Database, path: string): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version > schemaVersion) {
    throw new DaemonError(
      'Internal',
      `${path} was written by a newer Caisson (schema ${version}): upgrade the daemon`,
    );
  }
  if (version === schemaVersion) return;
  database.exec(`
    CREATE TABLE documents (
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      value TEXT NOT NULL,
      PRIMARY KEY (collection, id)
    ) WITHOUT ROWID;
    PRAGMA user_version = ${schemaVersion};
  `);
}
