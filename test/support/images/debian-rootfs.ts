// File systems for test images, made of Debian's packages; each a tar that is made once and kept.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A root file system of the stable release with python3 and nginx. Returns the tar's path. */
export function ensureDebianRootfs(cacheDir: string): string {
  return ensureTar(join(cacheDir, 'debian-12.tar'), (work) => {
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
    return rootfs;
  });
}

/** What Debian's packages, with those they need, add to a root file system. */
export interface PackagesLayer {
  /** Of the tar that is kept. */
  name: string;
  packages: string;
  /** Shell patterns of packages that come along and can be done without. */
  unwanted: string;
}

/** PostgreSQL, Redis, and Node with clients for both. */
export const servicesLayer: PackagesLayer = {
  name: 'services',
  packages: 'redis-server postgresql-15 nodejs node-pg node-redis',
  // PostgreSQL's just-in-time compiler and its scripts in Perl
  unwanted:
    'libllvm*.deb libz3*.deb *perl*.deb postgresql-*common_*.deb locales_*.deb libc-l10n_*.deb openssl_*.deb',
};

/** Docker's own engine, and a shell for the image that it shall run. */
export const engineLayer: PackagesLayer = {
  name: 'engine',
  packages: 'docker.io iptables busybox-static',
  unwanted: '*perl*.deb',
};

// Unpacked, not installed: no program of theirs runs here. The root file system's tar, a work directory, packages, unwanted.
const unpackPackages = `
cd "$2"; mkdir base layer
tar -C base -xf "$1"
in_base() { chroot base env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >&2; }
in_base update
in_base install -y --download-only --no-install-recommends $3
cd base/var/cache/apt/archives
rm -f $4
# as the root file system has them: a layer with a directory in a link's place would hide what is in it
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$2/layer/$link"; done
mkdir -p "$2"/layer/usr/{bin,lib,lib64,sbin}
for package in *.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -C "$2/layer" -x --keep-directory-symlink --exclude='*/bitcode' \\
    --exclude='*llvmjit*' --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
done`;

/** What the packages add to `rootfs`. Returns the tar's path. */
export function ensurePackagesLayer(cacheDir: string, rootfs: string, layer: PackagesLayer): string {
  return ensureTar(join(cacheDir, `${layer.name}.tar`), (work) => {
    const words = [rootfs, work, layer.packages, layer.unwanted];
    execFileSync('unshare', ['--mount', 'bash', '-ec', unpackPackages, 'bash', ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      maxBuffer: 1 << 26,
    });
    return join(work, 'layer');
  });
}

/** `make` fills a work directory and returns the one to pack. */
function ensureTar(tar: string, make: (work: string) => string): string {
  if (existsSync(tar)) return tar;
  const work = mkdtempSync('/tmp/caisson-debian-');
  try {
    const packed = make(work);
    execFileSync('tar', ['-C', packed, '--numeric-owner', '--xattrs', '-cf', `${tar}.part`, '.']);
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
