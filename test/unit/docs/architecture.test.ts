// docs/architecture.md names every folder of src and no other, and the files of its hops exist; each folder has a row in the table
// of walls.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectDir } from '../../support/process/project-dir';

const documentation = readFileSync(join(projectDir, 'docs/architecture.md'), 'utf8');

const files = readdirSync(join(projectDir, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const folders = [...new Set(files.map((file) => dirname(file)))].filter((folder) => folder !== '.').sort();

test('every folder has one sentence', () => {
  const named = [...documentation.matchAll(/^\| `([\w./-]+)` \| .+ \|$/gm)].map(([, folder]) => folder);
  expect(named.sort()).toEqual(folders);
});

test('every file that it names is there', () => {
  const names = [...documentation.matchAll(/`([\w./-]+\.(?:ts|c))`/g)].map(([, name = '']) => name);
  const all = ['src', 'guest/init'].flatMap((top) =>
    readdirSync(join(projectDir, top), { recursive: true, encoding: 'utf8' }).map((file) => `${top}/${file}`),
  );
  const missing = names.filter(
    (name) => !existsSync(join(projectDir, name)) && !all.some((file) => file.endsWith(`/${name}`)),
  );
  expect(missing).toEqual([]);
});

test('every folder has a row of what it may import', () => {
  const script =
    "import('./scripts/walls.mjs').then(({ walls }) => console.log(JSON.stringify(Object.keys(walls))))";
  const rows = JSON.parse(
    execFileSync(process.execPath, ['-e', script], { cwd: projectDir, encoding: 'utf8' }),
  ) as string[];
  const root = files.filter((file) => dirname(file) === '.').map((file) => file.replace(/\.ts$/, ''));
  expect(rows.sort()).toEqual([...folders, ...root].sort());
});
