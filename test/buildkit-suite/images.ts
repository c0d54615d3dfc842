// The images that the suite wants mirrored, made of Debian's busybox: no registry of the world is asked.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { projectDir } from '../support/process/project-dir';
import { makeTar } from '../support/images/tar-maker';
import type { NetworkNamespace } from '../support/network/network-namespace';

interface Blob {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const layerType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

/** Makes the images in `dir` and pushes them to the registry at 127.0.0.1:port of the namespace. */
export class SuiteImages {
  readonly #dir: string;
  readonly #namespace: NetworkNamespace;
  readonly #registry: string;

  constructor(dir: string, namespace: NetworkNamespace, port: number) {
    this.#dir = dir;
    this.#namespace = namespace;
    this.#registry = `http://127.0.0.1:${port}`;
    mkdirSync(dir, { recursive: true });
  }

  push(): void {
    const busybox = this.#rootfs();
    const none = { name: 'tonistiigi/test:nolayers', layers: [] };
    const release = gzipSync(makeTar([{ name: 'etc/alpine-release', data: '3.18.0\n' }]));
    this.#image({ name: 'library/busybox:latest', layers: [busybox] });
    this.#image({ name: 'library/alpine:latest', layers: [busybox, release] });
    this.#image(none);
    // without a foreign layer, which Debian's registry wants to be set up for: the tests of those are not dockerd's
    this.#image({ name: 'cpuguy83/buildkit-foreign:latest', layers: [busybox] });
  }

  /** As the official image of busybox, as far as the suite looks: users of its own, and `adduser`, which Debian's busybox has not. */
  #rootfs(): Buffer {
    const dir = join(this.#dir, 'rootfs');
    const make = '. "$1/lib.sh" && . "$1/docker-archive.sh" && busybox_rootfs "$2"';
    execFileSync('bash', ['-ec', make, 'make', join(projectDir, 'scripts'), dir]);
    writeFileSync(
      join(dir, 'bin/adduser'),
      `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do case "$1" in -D|-H|-S) shift;; *) shift 2;; esac; done
name=$1 id=1001
while grep -q ":$id:" /etc/passwd; do id=$((id + 1)); done
echo "$name:x:$id:$id:Linux User,,,:/home/$name:/bin/sh" >>/etc/passwd
echo "$name:x:$id:" >>/etc/group
mkdir -p "/home/$name" && chown "$id:$id" "/home/$name"
`,
      { mode: 0o755 },
    );
    appendFileSync(join(dir, 'etc/group'), 'nobody:x:65533:\n');
    const tar = join(this.#dir, 'rootfs.tar');
    const fixed = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@1704067200'];
    execFileSync('tar', ['-C', dir, ...fixed, '-cf', tar, '.']);
    return gzipSync(readFileSync(tar));
  }

  #image(image: { name: string; layers: readonly Buffer[] }): void {
    const [repository = '', tag = ''] = image.name.split(':');
    const platform = { architecture: 'amd64', os: 'linux', created: '2024-01-01T00:00:00Z' };
    const blobs = image.layers.map((layer) => this.#blob(repository, layer));
    const config = this.#blob(
      repository,
      Buffer.from(
        JSON.stringify({
          ...platform,
          config: {
            Cmd: ['sh'],
            Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
          },
          history: image.layers.map((_, i) => ({ created: platform.created, created_by: `layer ${i}` })),
          rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => digestOf(gunzip(layer))) },
        }),
      ),
    );
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        digest: config.digest,
        size: config.size,
      },
      layers: blobs.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
    });
    const path = join(this.#dir, 'manifest');
    writeFileSync(path, manifest);
    this.#curl('-X', 'PUT', '-H', `Content-Type: ${manifestType}`, '--data-binary', `@${path}`, [
      `/v2/${repository}/manifests/${tag}`,
    ]);
  }

  #blob(repository: string, data: Buffer): Blob {
    const digest = digestOf(data);
    const path = join(this.#dir, digest.slice(7));
    writeFileSync(path, data);
    const answer = this.#curl('-i', '-X', 'POST', [`/v2/${repository}/blobs/uploads/`]);
    const location = /^location: *(?:https?:\/\/[^/]+)?(\S+)/im.exec(answer)?.[1] ?? '';
    this.#curl('-T', path, [`${location}${location.includes('?') ? '&' : '?'}digest=${digest}`]);
    return { path, digest, size: data.length };
  }

  #curl(...given: readonly (string | readonly [string])[]): string {
    const args = given.map((part) => (typeof part === 'string' ? part : `${this.#registry}${part[0]}`));
    return this.#namespace.run('curl', ['-sS', '--fail', ...args]);
  }
}

function digestOf(data: Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function gunzip(data: Buffer): Buffer {
  return execFileSync('gunzip', { input: data, maxBuffer: 64 * 1024 * 1024 });
}
