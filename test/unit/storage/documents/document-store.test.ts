import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openDocumentStore } from '../../../../src/storage/documents/document-store';

describe('documents', () => {
  let dir = '';
  let path = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'caisson-documents-'));
    path = join(dir, 'db');
  });
  afterEach(() => {
    rmSync(dir, { recursive: true });
  });

  test('are there again when the store is opened anew', () => {
    const store = openDocumentStore(path);
    store.put('containers', 'b', { name: 'two' });
    store.put('containers', 'a', { name: 'one' });
    store.put('containers', 'b', { name: 'three' });
    store.put('networks', 'a', { name: 'other' });
    store.close();
    const again = openDocumentStore(path);
    expect(again.all('containers')).toEqual([{ name: 'one' }, { name: 'three' }]);
    expect(again.get('networks', 'a')).toEqual({ name: 'other' });
    expect(again.get('networks', 'b')).toBeUndefined();
    again.delete('containers', 'a');
    again.delete('containers', 'nothing');
    expect(again.all('containers')).toHaveLength(1);
    again.close();
  });

  test('a transaction is all or nothing, also when nested', () => {
    const store = openDocumentStore(path);
    const work = (): void =>
      store.transaction(() => {
        store.put('c', '1', {});
        store.transaction(() => {
          store.put('c', '2', {});
        });
        throw new Error('in the middle');
      });
    expect(work).toThrow('in the middle');
    expect(store.all('c')).toEqual([]);
    expect(store.transaction(() => 7)).toBe(7);
    store.close();
  });

  test('survive a process that ends without closing', () => {
    const first = openDocumentStore(path);
    first.put('c', '1', { kept: true });
    // What the next daemon would find.
    for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${path}2${suffix}`);
    const second = openDocumentStore(`${path}2`);
    expect(second.get('c', '1')).toEqual({ kept: true });
    second.close();
    first.close();
  });

  test('of a newer daemon are left alone', () => {
    openDocumentStore(path).close();
    const database = new Database(path);
    database.pragma('user_version = 999');
    database.close();
    expect(() => openDocumentStore(path)).toThrow('was written by a newer Caisson');
  });

  test('two hundred are read at once in no time', () => {
    const store = openDocumentStore(path);
    store.transaction(() => {
      for (let i = 0; i < 200; i += 1) store.put('containers', String(i), { state: 'x'.repeat(5000) });
    });
    const start = process.hrtime.bigint();
    expect(store.all('containers')).toHaveLength(200);
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeLessThan(200);
    store.close();
  });
});
