// The forms that records have had, and the steps from each to the next. The database says in `user_version` which one it has; what an
// earlier release has written is brought up to date when it is opened, all steps or none, and kept beside it as it was.
//
// Form 1: release 0.1.0 and 0.2.0. A member that is new and may be missing needs no step: who reads it says what its absence means.

import type Database from 'better-sqlite3';
import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { DaemonError } from '../../errors';

/** Leads from the form before it. What it throws leaves the database as it was. */
export type Migration = (database: Database.Database) => void;

/** The first makes an empty database; step n leads from form n to n + 1. */
const migrations: readonly Migration[] = [
  (database) =>
    void database.exec(`
      CREATE TABLE documents (
        collection TEXT NOT NULL,
        id TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (collection, id)
      ) WITHOUT ROWID;
    `),
];

/** Throws Internal when a newer daemon has written it, and what a step throws. */
export function migrate(database: Database.Database, steps: readonly Migration[] = migrations): void {
  const form = Number(database.pragma('user_version', { simple: true }));
  if (form > steps.length) {
    throw new DaemonError(
      'Internal',
      `${database.name} was written by a newer Caisson (schema ${form}, this one knows ${steps.length}): install that one again, ` +
        `or put back the copy of it that was kept when it was upgraded`,
    );
  }
  if (form === steps.length) return;
  if (form > 0) keepCopy(database, `${database.name}.schema-${form}`);
  database.transaction(() => {
    for (const step of steps.slice(form)) step(database);
    database.pragma(`user_version = ${steps.length}`);
  })();
}

/** For the way back to the release that wrote it. */
function keepCopy(database: Database.Database, path: string): void {
  rmSync(path, { force: true });
  closeSync(openSync(path, 'wx', 0o600));
  database.prepare('VACUUM INTO ?').run(path);
  chmodSync(path, 0o600);
}

/** A step that changes each document of a collection. */
export function rewriting(
  collection: string,
  change: (document: Record<string, unknown>) => object,
): Migration {
  return (database) => {
    const rows = database
      .prepare<[string], { id: string; value: string }>(
        'SELECT id, value FROM documents WHERE collection = ?',
      )
      .all(collection);
    const put = database.prepare<[string, string, string]>(
      'UPDATE documents SET value = ? WHERE collection = ? AND id = ?',
    );
    for (const { id, value } of rows) {
      // what `put` was given
      put.run(JSON.stringify(change(JSON.parse(value) as Record<string, unknown>)), collection, id);
    }
  };
}
