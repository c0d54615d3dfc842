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

// Unpacked, not installed: no program of theirs runs here. $1: the root file system's tar, $2: a work directory.
const unpackServices = `
cd "$2"; mkdir base services
tar -C base -xf "$1"
in_base() { chroot base env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >&2; }
in_base update
in_base install -y --download-only --no-install-recommends redis-server postgresql-15 nodejs node-pg node-redis
cd base/var/cache/apt/archives
# PostgreSQL's just-in-time compiler and its scripts in Perl
rm -f libllvm*.deb libz3*.deb *perl*.deb postgresql-*common_*.deb locales_*.deb libc-l10n_*.deb openssl_*.deb
# as the root file system has them: a layer with a directory in a link's place would hide what is in it
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$2/services/$link"; done
mkdir -p "$2"/services/usr/{bin,lib,lib64,sbin}
for package in *.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -C "$2/services" -x --keep-directory-symlink --exclude='*/bitcode' \\
    --exclude='*llvmjit*' --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
done`;

/** What PostgreSQL, Redis and Node with clients for both add to `rootfs`. Returns the tar's path. */
export function ensureServicesLayer(cacheDir: string, rootfs: string): string {
  return ensureTar(join(cacheDir, 'services.tar'), (work) => {
    execFileSync('unshare', ['--mount', 'bash', '-ec', unpackServices, 'bash', rootfs, work], {
      stdio: ['ignore', 'ignore', 'pipe'],
      maxBuffer: 1 << 26,
    });
    return join(work, 'services');
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
