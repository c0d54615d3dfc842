// The manifest of the npm package differs from the project's: all that the program needs is in the package, so nothing is to
// be fetched, built or run when it is installed. `swap` puts it in the project's place while npm packs, `restore` takes it back.

import fs from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const manifest = join(root, 'package.json');
const kept = join(root, 'build', 'package.json.kept');

if (process.argv[2] === 'swap') {
  const { name, version, description, license, files } = JSON.parse(fs.readFileSync(manifest, 'utf8'));
  const published = {
    ...{ name, version, description, license, files },
    bin: { caisson: 'build/package/bin/caisson' },
    os: ['linux'],
    cpu: ['x64'],
    libc: ['glibc'],
  };
  fs.copyFileSync(manifest, kept);
  fs.writeFileSync(manifest, `${JSON.stringify(published, undefined, 2)}\n`);
} else if (fs.existsSync(kept)) {
  fs.renameSync(kept, manifest);
}
