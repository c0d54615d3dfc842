// The images of the compatibility tests, all made from Debian's packages, kept as a registry's storage directory.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { engineLayer, ensureDebianRootfs, ensurePackagesLayer, servicesLayer } from './debian-rootfs';
import { NetworkNamespace } from '../network/network-namespace';
import { startOracle } from '../engines/oracle';
import { projectDir } from '../process/project-dir';
import { startRegistry } from './registry-process';

const recipeDir = join(projectDir, 'test', 'support', 'images', 'recipes');
const cacheDir = join(projectDir, 'build', 'test-images');

export const registryPort = 5000;
export const registryHost = `127.0.0.1:${registryPort}`;
/** Every engine under test has these; the registry also has `services` and `engine`, which are large: cases that want them pull them. */
export const testImages = ['busybox', 'configured', 'layers', 'debian:12'] as const;

/** Path of a registry's storage that holds every test image; made once and kept until a recipe changes. Needs root. */
export async function ensureTestImages(): Promise<string> {
  const storage = join(cacheDir, 'registry');
  const stamp = join(cacheDir, 'stamp');
  const recipe = recipeDigest();
  if (existsSync(storage) && existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return storage;
  mkdirSync(cacheDir, { recursive: true });
  const debianRootfs = ensureDebianRootfs(cacheDir);
  const services = ensurePackagesLayer(cacheDir, debianRootfs, servicesLayer);
  const engine = ensurePackagesLayer(cacheDir, debianRootfs, engineLayer);
  const dir = mkdtempSync('/tmp/caisson-images-');
  const namespace = await NetworkNamespace.create();
  try {
    const registry = await startRegistry({ dir: join(dir, 'registry'), namespace, port: registryPort });
    const oracle = await startOracle(join(dir, 'oracle'), namespace);
    try {
      buildAndPush(oracle.host, dir, { 'debian:12': debianRootfs, services, engine });
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

/** An archive for `docker load` with Debian's busybox as the image `name`. Returns its path, in `dir`. */
export function makeBusyboxArchive(dir: string, name: string): string {
  const archive = join(dir, 'busybox.tar');
  const scripts = join(projectDir, 'scripts');
  const rootfs = join(dir, 'busybox');
  const build = `. "$1/lib.sh" && . "$1/docker-archive.sh" && busybox_rootfs "$2" && docker_archive "$2" "$3" "$4" '["sh"]'`;
  execFileSync('bash', ['-ec', build, 'build', scripts, rootfs, name, archive]);
  return archive;
}

/** `contents`: the tar that the recipe of each of these images adds, under its own name. In the order to build them. */
function buildAndPush(host: string, dir: string, contents: Record<string, string>): void {
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
  const name = `${registryHost}/busybox:latest`;
  docker('load', '--quiet', '--input', makeBusyboxArchive(dir, name));
  docker('push', '--quiet', name);
  for (const image of ['configured', 'layers']) {
    docker('build', '--quiet', '--tag', `${registryHost}/${image}`, join(recipeDir, image));
    docker('push', '--quiet', `${registryHost}/${image}`);
  }
  for (const [image, content] of Object.entries(contents)) {
    const recipe = image.replace(/:.*/, '');
    const context = join(dir, recipe);
    execFileSync('cp', ['--recursive', join(recipeDir, recipe), context]);
    execFileSync('cp', ['--reflink=auto', content, context]);
    docker('build', '--quiet', '--tag', `${registryHost}/${image}`, context);
    docker('push', '--quiet', `${registryHost}/${image}`);
  }
}

function recipeDigest(): string {
  const hash = createHash('sha256');
  for (const image of readdirSync(recipeDir).sort())
    for (const name of readdirSync(join(recipeDir, image)).sort())
      hash.update(readFileSync(join(recipeDir, image, name)));
  hash.update(readFileSync(join(projectDir, 'scripts', 'docker-archive.sh')));
  return hash.digest('hex');
}

/** Across file systems too, which rename cannot. */
function moveDirectory(from: string, to: string): void {
  execFileSync('mv', [from, to]);
}
