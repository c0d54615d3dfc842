// The records of a data root as JSON, by collection, without what is long and the same everywhere: records.mjs DATA-ROOT
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const [dataRoot] = process.argv.slice(2);
const name = readdirSync(dataRoot).find((file) => file.endsWith('.db'));
const directory = mkdtempSync(join(tmpdir(), 'caisson-records-'));
try {
  for (const suffix of ['', '-wal']) {
    const path = join(dataRoot, `${name}${suffix}`);
    if (existsSync(path)) copyFileSync(path, join(directory, `${name}${suffix}`));
  }
  const database = new Database(join(directory, name));
  const collections = {};
  for (const { collection, id, value } of database
    .prepare('SELECT * FROM documents ORDER BY collection, id')
    .all())
    (collections[collection] ??= {})[id] = JSON.parse(value);
  const schema = database.pragma('user_version', { simple: true });
  process.stdout.write(`${JSON.stringify({ schema, collections }, undefined, 1)}\n`);
} finally {
  rmSync(directory, { recursive: true });
}
