// Exits 0 when node_modules holds what package-lock.json says, so that setup can skip npm ci.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const packagesOf = (file) => JSON.parse(readFileSync(join(root, file), 'utf8')).packages;

try {
  const wanted = packagesOf('package-lock.json');
  const present = packagesOf('node_modules/.package-lock.json');
  const stale = Object.entries(wanted).some(
    ([path, { version, optional }]) => path !== '' && !optional && present[path]?.version !== version,
  );
  const Database = require(join(root, 'node_modules/better-sqlite3'));
  new Database(':memory:').close(); // its binding is built at install time
  process.exitCode = stale ? 1 : 0;
} catch {
  process.exitCode = 1;
}
