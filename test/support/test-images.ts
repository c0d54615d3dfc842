// The images of the compatibility tests, all made from Debian's packages, kept as a registry's storage directory.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { NetworkNamespace } from './network-namespace';
import { startOracle } from './oracle';
import { projectDir } from './project-dir';
import { startRegistry } from './registry-process';

const recipeDir = join(projectDir, 'test', 'support', 'images');
const cacheDir = join(projectDir, 'build', 'test-images');

export const registryPort = 5000;
export const registryHost = `127.0.0.1:${registryPort}`;
/** In the order in which they are built: the later ones stand on the earlier. */
export const testImages = ['busybox', 'configured', 'layers', 'debian:12'] as const;

/** Path of a registry's storage that holds every test image; made once and kept until a recipe changes. Needs root. */
export async function ensureTestImages(): Promise<string> {
  const storage = join(cacheDir, 'registry');
  const stamp = join(cacheDir, 'stamp');
  const recipe = recipeDigest();
  if (existsSync(storage) && existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return storage;
  mkdirSync(cacheDir, { recursive: true });
  const debianRootfs = ensureDebianRootfs();
  const dir = mkdtempSync('/tmp/caisson-images-');
  const namespace = await NetworkNamespace.create();
  try {
    const registry = await startRegistry({ dir: join(dir, 'registry'), namespace, port: registryPort });
    const oracle = await startOracle(join(dir, 'oracle'), namespace);
    try {
      buildAndPush(oracle.host, dir, debianRootfs);
    } finally {
      await oracle.process.stop();
      await registry.stop();
    }
    rmSync(storage, { recursive: true, force: true });
    moveDirectory(join(dir, 'registry', 'storage'), storage);
    writeFileSync(stamp, recipe);
  } finally {
    await namespace.delete();
    rmSync(dir, { recursive: true, force: true });
  }
  return storage;
}

function buildAndPush(host: string, dir: string, debianRootfs: string): void {
  const docker = (...args: string[]): string =>
    // the legacy builder: part of the daemon, so that nothing else is needed
    execFileSync('/usr/bin/docker', args, {
      env: {
        ...process.env,
        DOCKER_HOST: host,
        DOCKER_BUILDKIT: '0',
        DOCKER_CONFIG: join(dir, 'docker-config'),
      },
      encoding: 'utf8',
    });
  const archive = join(dir, 'busybox.tar');
  const scripts = join(projectDir, 'scripts');
  const rootfs = join(dir, 'busybox');
  const build = `. "$1/lib.sh" && . "$1/docker-archive.sh" && busybox_rootfs "$2" && docker_archive "$2" "$3" "$4" '["sh"]'`;
  const name = `${registryHost}/busybox:latest`;
  execFileSync('bash', ['-ec', build, 'build', scripts, rootfs, name, archive]);
  docker('load', '--quiet', '--input', archive);
  docker('push', '--quiet', name);
  for (const image of ['configured', 'layers']) {
    docker('build', '--quiet', '--tag', `${registryHost}/${image}`, join(recipeDir, image));
    docker('push', '--quiet', `${registryHost}/${image}`);
  }
  const context = join(dir, 'debian');
  mkdirSync(context);
  execFileSync('cp', [join(recipeDir, 'debian', 'Dockerfile'), context]);
  execFileSync('cp', ['--reflink=auto', debianRootfs, join(context, 'rootfs.tar')]);
  docker('build', '--quiet', '--tag', `${registryHost}/debian:12`, context);
  docker('push', '--quiet', `${registryHost}/debian:12`);
}

/** A root file system of the stable release with python3 and nginx, as a tar. */
function ensureDebianRootfs(): string {
  const tar = join(cacheDir, 'debian-12.tar');
  if (existsSync(tar)) return tar;
  const work = mkdtempSync('/tmp/caisson-debootstrap-');
  try {
    const packages = '--include=python3,nginx,procps,iproute2';
    const rootfs = join(work, 'rootfs');
    // chroots into what it made, so mounts of its own keep a killed run from leaving any
    execFileSync(
      'unshare',
      ['--mount', 'debootstrap', '--variant=minbase', packages, 'bookworm', rootfs, debianMirror()],
      { stdio: ['ignore', 'ignore', 'inherit'], maxBuffer: 1 << 26 },
    );
    for (const leftover of ['var/cache/apt', 'var/lib/apt/lists']) {
      rmSync(join(rootfs, leftover), { recursive: true, force: true });
    }
    execFileSync('tar', ['-C', rootfs, '--numeric-owner', '--xattrs', '-cf', `${tar}.part`, '.']);
    renameSync(`${tar}.part`, tar);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return tar;
}

/** The mirror this machine itself installs from. */
function debianMirror(): string {
  const text = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE)'], {
    encoding: 'utf8',
  });
  const line = text
    .split('\n')
    .find((candidate) => candidate.endsWith(' bookworm') && candidate.includes('/debian/'));
  return line?.split(' ')[0] ?? 'http://deb.debian.org/debian/';
}

function recipeDigest(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(recipeDir).sort())
    hash.update(readFileSync(join(recipeDir, name, 'Dockerfile')));
  hash.update(readFileSync(join(projectDir, 'scripts', 'docker-archive.sh')));
  return hash.digest('hex');
}

/** Across file systems too, which rename cannot. */
function moveDirectory(from: string, to: string): void {
  execFileSync('mv', [from, to]);
}
