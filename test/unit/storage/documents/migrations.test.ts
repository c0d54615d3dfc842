import Database from 'better-sqlite3';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDocumentStore } from '../../../../src/storage/documents/document-store';
import { migrate, rewriting, type Migration } from '../../../../src/storage/documents/migrations';

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'migrations-'));
  path = join(directory, 'records.db');
  const store = openDocumentStore(path);
  store.put('containers', 'a', { id: 'a', name: '/web' });
  store.put('volumes', 'v', { name: 'v' });
  store.close();
});
afterEach(() => rmSync(directory, { recursive: true }));

const first: Migration = () => {
  throw new Error('the first form is there already');
};
const withoutSlash = rewriting('containers', ({ name, ...other }) => ({
  ...other,
  name: String(name).replace('/', ''),
}));

function read(file: string, collection: string): unknown[] {
  const database = new Database(file);
  try {
    return database
      .prepare<[string], { value: string }>('SELECT value FROM documents WHERE collection = ?')
      .all(collection)
      .map(({ value }) => JSON.parse(value) as unknown);
  } finally {
    database.close();
  }
}

function migrateWith(steps: readonly Migration[]): void {
  const database = new Database(path);
  try {
    migrate(database, steps);
  } finally {
    database.close();
  }
}

test('a later form is reached by its steps, once, and the earlier one is kept beside it', () => {
  migrateWith([first, withoutSlash]);
  expect(read(path, 'containers')).toEqual([{ id: 'a', name: 'web' }]);
  expect(read(path, 'volumes')).toEqual([{ name: 'v' }]);
  expect(read(`${path}.schema-1`, 'containers')).toEqual([{ id: 'a', name: '/web' }]);
  migrateWith([first, first]); // there already: no step runs
});

test('a step that fails changes nothing', () => {
  const failing = rewriting('volumes', () => {
    throw new Error('this one is odd');
  });
  expect(() => migrateWith([first, withoutSlash, failing])).toThrow('this one is odd');
  expect(read(path, 'containers')).toEqual([{ id: 'a', name: '/web' }]);
  expect(existsSync(path)).toBe(true);
  openDocumentStore(path).close();
});

test('the release before refuses what it can not read, and says what to do', () => {
  migrateWith([first, withoutSlash]);
  expect(() => openDocumentStore(path)).toThrow(
    /was written by a newer Caisson \(schema 2, this one knows 1\)/,
  );
});
