// Images that are made here, in a registry of the operator's that asks for a password: nodes pull them there.

import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { makeBusyboxArchive } from '../support/images/test-images';
import { makeScratchDir } from '../support/process/scratch-dir';
import { TestCluster, privateRegistryHost } from './harness/test-cluster';

jest.setTimeout(300_000);

const cli = findDockerClis()[0]?.path ?? 'docker';
const dir = makeScratchDir('made-images');
const namespace = `made-${process.pid}`;
const credentials = { username: 'alice', password: 'secret' };
const repository = `${privateRegistryHost}/made`;
let daemon: ClusterDaemon;

beforeAll(async () => {
  const cluster = TestCluster.current();
  const args = ['--kube-registry', repository, '--kube-registry-secret', 'made-images'];
  daemon = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'daemon'), args });
  const login = Object.entries(credentials).map(([name, value]) => `--docker-${name}=${value}`);
  const secret = ['secret', 'docker-registry', 'made-images', `--docker-server=${privateRegistryHost}`];
  cluster.kubectl('-n', namespace, 'create', ...secret, ...login);
  mkdirSync(join(dir, 'config'));
  const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
  writeFileSync(
    join(dir, 'config', 'config.json'),
    JSON.stringify({ auths: { [privateRegistryHost]: { auth } } }),
  );
});

afterAll(async () => {
  await daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Stdout. Rejects with stderr where it fails. */
async function docker(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(cli, [
    ...['--config', join(dir, 'config'), '--host', daemon.host],
    ...args,
  ]);
  return stdout.trimEnd();
}

it('an image that is loaded runs, is saved, and is the same when it is loaded again', async () => {
  expect(await docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'box:1'))).toBe(
    'Loaded image: box:1',
  );
  expect(await docker('run', '--rm', 'box:1', 'echo', 'runs')).toBe('runs');
  const id = await docker('image', 'inspect', '--format', '{{.Id}}', 'box:1');
  await docker('save', '--output', join(dir, 'saved.tar'), 'box:1');
  await docker('rmi', 'box:1');
  await expect(docker('run', '--rm', '--pull', 'never', 'box:1')).rejects.toThrow('No such image: box:1');
  await docker('load', '--input', join(dir, 'saved.tar'));
  expect(await docker('image', 'inspect', '--format', '{{.Id}}', 'box:1')).toBe(id);
});

it('an image that is loaded is pushed elsewhere, and runs by its digest from there', async () => {
  const elsewhere = `${privateRegistryHost}/elsewhere/box:1`;
  await docker('tag', 'box:1', elsewhere);
  const [digest = ''] = /sha256:[0-9a-f]{64}/.exec(await docker('push', elsewhere)) ?? [];
  await docker('rmi', elsewhere);
  const byDigest = `${privateRegistryHost}/elsewhere/box@${digest}`;
  await docker('pull', '--quiet', byDigest);
  expect(await docker('run', '--rm', byDigest, 'echo', 'runs')).toBe('runs');
});

it('what a container has become is imported as an image, with the changes that are asked for', async () => {
  await docker('run', '--name', 'changed', 'box:1', 'sh', '-c', 'echo written >/file');
  await docker('export', '--output', join(dir, 'exported.tar'), 'changed');
  await docker('rm', 'changed');
  await docker('import', '--change', 'CMD ["cat", "/file"]', join(dir, 'exported.tar'), 'flat:1');
  expect(await docker('run', '--rm', 'flat:1')).toBe('written');
});

it('says what a registry refuses', async () => {
  const cluster = TestCluster.current();
  const wrong = JSON.stringify({ auths: { [privateRegistryHost]: { auth: btoa('alice:wrong') } } });
  const data = { '.dockerconfigjson': btoa(wrong) };
  cluster.kubectl('-n', namespace, 'patch', 'secret', 'made-images', '-p', JSON.stringify({ data }));
  await expect(
    docker('import', '--message', 'another', join(dir, 'exported.tar'), 'refused:1'),
  ).rejects.toThrow(/unauthorized|no basic auth credentials/);
  expect(await docker('images', '--quiet', 'refused')).toBe('');
});
