// The image that brings the supervisor into Pods: /caisson with the program, docker-init, and Debian's ps with its libraries. Written as
// an archive that `docker load`, `ctr images import` and `caisson kubernetes image` read. The same inputs give the same bytes.
//
//   node build-supervisor-image.mjs --supervisor FILE --docker-init FILE --out FILE

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { supervisor: { type: 'string' }, 'docker-init': { type: 'string' }, out: { type: 'string' } },
});
const tag = 'caisson/supervisor:latest';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Debian's ps and the libraries it needs, started through its own ld.so. */
function psFiles() {
  const needed = execFileSync('ldd', ['/usr/bin/ps'], { encoding: 'utf8' });
  return ['/usr/bin/ps', ...(needed.match(/\/\S+/g) ?? [])];
}

/** A tar of a directory without what differs from one machine to the next. */
function tarOf(directory, names) {
  const alike = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
  return execFileSync('tar', ['-C', directory, ...alike, '-c', ...names], { maxBuffer: 1 << 28 });
}

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'supervisor-image-'));
try {
  const root = path.join(work, 'root');
  fs.mkdirSync(path.join(root, 'caisson/ps'), { recursive: true });
  const put = (source, name) => {
    fs.copyFileSync(source, path.join(root, 'caisson', name));
    fs.chmodSync(path.join(root, 'caisson', name), 0o755);
  };
  put(values.supervisor, 'init');
  put(values['docker-init'], 'docker-init');
  for (const file of psFiles()) put(fs.realpathSync(file), path.join('ps', path.basename(file)));
  const layer = tarOf(root, ['caisson']);
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: { Cmd: ['/caisson/init'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'caisson' }],
  });
  const image = path.join(work, 'image');
  fs.mkdirSync(image);
  const configName = `${sha256(config)}.json`;
  fs.writeFileSync(path.join(image, 'layer.tar'), layer);
  fs.writeFileSync(path.join(image, configName), config);
  fs.writeFileSync(
    path.join(image, 'manifest.json'),
    JSON.stringify([{ Config: configName, RepoTags: [tag], Layers: ['layer.tar'] }]),
  );
  fs.writeFileSync(`${values.out}.part`, tarOf(image, ['manifest.json', configName, 'layer.tar']));
  fs.renameSync(`${values.out}.part`, values.out);
} finally {
  fs.rmSync(work, { recursive: true });
}
