// imagePullSecrets: an image of a registry that asks for a password, with and without the Secret that has it.

import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CaissonDaemon } from '../../support/caisson-daemon';
import { findDockerClis, runScript } from '../../support/docker-cli';
import { projectDir } from '../../support/project-dir';
import { startLocalRegistry, type LocalRegistry } from '../../support/registry';
import { makeScratchDir } from '../../support/scratch-dir';
import { makeBusyboxArchive } from '../../support/test-images';

jest.setTimeout(120_000);

// alice:secret, as `htpasswd -Bbn alice secret` writes it
const htpasswd = 'alice:$2y$05$RDm.jqMg1oBgKR0U.9.eNeK0XsyL7MLY.P7iapDQ6y5UAwJwjdv3O';
const auth = Buffer.from('alice:secret').toString('base64');

let dir: string;
let registry: LocalRegistry;
let daemon: CaissonDaemon;
let image: string;

beforeAll(async () => {
  dir = makeScratchDir('secrets');
  registry = await startLocalRegistry({ htpasswd });
  image = `${registry.host}/private`;
  daemon = await CaissonDaemon.start({ dir, args: ['--accel', 'tcg', '--pool-size', '1'] });
});

afterAll(async () => {
  await daemon.stop();
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function docker(...steps: string[]): Promise<void> {
  const [cli] = findDockerClis();
  if (cli === undefined) throw new Error('there is no docker command');
  const results = await runScript({ cli, host: daemon.host, steps, timeoutMs: 60_000 });
  expect(results.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
}

async function play(...documents: object[]): Promise<string> {
  const file = join(dir, 'file.yaml');
  // a JSON document is a YAML document
  writeFileSync(file, documents.map((document) => JSON.stringify(document)).join('\n---\n'));
  const main = join(projectDir, 'dist', 'main.js');
  return (await promisify(execFile)(process.execPath, [main, '--host', daemon.host, 'play', file])).stdout;
}

const pod = (name: string, secrets: readonly string[]): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    imagePullSecrets: secrets.map((secret) => ({ name: secret })),
    containers: [{ name: 'main', image, command: ['sleep', '1000'] }],
  },
});

it('pulls with the credentials of the Secret, and not without', async () => {
  const archive = makeBusyboxArchive(dir, image);
  await docker(
    `docker load -q -i ${archive}`,
    `echo secret | docker login -u alice --password-stdin ${registry.host}`,
    `docker push -q ${image}`,
    `docker rmi ${image}`,
  );
  const without = `Head "http://${registry.host}/v2/private/manifests/latest": no basic auth credentials`;
  await expect(play(pod('without', []))).rejects.toMatchObject({ stderr: expect.stringContaining(without) });

  const config = JSON.stringify({ auths: { [registry.host]: { auth } } });
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'credentials' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': config },
  };
  expect(await play(secret, pod('with', ['credentials']))).toBe('with\n');
  await docker(`wait_for 'docker exec with-main true'`);
});
