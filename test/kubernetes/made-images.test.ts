// Images that are made here, in a registry of the operator's that asks for a password: nodes pull them there.

import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { makeBusyboxArchive } from '../support/images/test-images';
import { makeScratchDir } from '../support/process/scratch-dir';
import { startMaking, type Making } from './harness/own-registry';
import { TestCluster, privateRegistryHost } from './harness/test-cluster';

jest.setTimeout(300_000);

const dir = makeScratchDir('made-images');
const namespace = `made-${process.pid}`;
let making: Making;
const docker: Making['docker'] = (...args) => making.docker(...args);

beforeAll(async () => {
  making = await startMaking(namespace, dir);
});

afterAll(async () => {
  await making.daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

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
  cluster.kubectl('-n', namespace, 'patch', 'secret', making.secretName, '-p', JSON.stringify({ data }));
  await expect(
    docker('import', '--message', 'another', join(dir, 'exported.tar'), 'refused:1'),
  ).rejects.toThrow(/unauthorized|no basic auth credentials/);
  expect(await docker('images', '--quiet', 'refused')).toBe('');
});
