// docker build and docker commit: commands run in Pods, and the images are in the operator's registry, where nodes pull them.

import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';

import type { V1Pod } from '@kubernetes/client-node';
import { makeBusyboxArchive } from '../support/images/test-images';
import { makeScratchDir } from '../support/process/scratch-dir';
import { makeContext, startMaking, type Making } from './harness/own-registry';
import { TestCluster } from './harness/test-cluster';

jest.setTimeout(300_000);

const dir = makeScratchDir('builds');
const namespace = `built-${process.pid}`;
let making: Making;
const docker: Making['docker'] = (...args) => making.docker(...args);

beforeAll(async () => {
  making = await startMaking(namespace, dir);
  await docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'box:1'));
});

afterAll(async () => {
  await making.daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A context with this Dockerfile. */
function context(name: string, dockerfile: string): string {
  return makeContext(dir, name, dockerfile);
}

/** Of containers. */
function pods(): V1Pod[] {
  const selected = ['get', 'pods', '-o', 'json', '--selector', 'caisson.io/container=true'];
  return (JSON.parse(TestCluster.current().kubectl('-n', namespace, ...selected)) as { items: V1Pod[] })
    .items;
}

it('runs commands in Pods, and keeps what they change, add and remove', async () => {
  const dockerfile = `
    FROM box:1 AS first
    ENV WORD=built
    COPY file /work/file
    RUN mkdir /made && echo "$WORD" >/made/here && ln -s here /made/link && chmod 604 /made/here && rm /work/file
    FROM box:1
    WORKDIR /app
    COPY --from=first /made/ ./
    USER 1000
    RUN id -u >/tmp/uid && pwd >/tmp/pwd
    CMD ["cat", "/app/link", "/tmp/uid", "/tmp/pwd"]
  `;
  const path = context('stages', dockerfile);
  const told = await docker('build', '--tag', 'stages:1', path);
  expect(told).toMatch(/Successfully built [0-9a-f]{12}\nSuccessfully tagged stages:1$/);
  expect(await docker('run', '--rm', 'stages:1')).toBe('built\n1000\n/app');

  const again = await docker('build', '--tag', 'stages:2', path);
  expect(again.match(/Using cache/g)).toHaveLength(8);
  await docker('build', '--tag', 'first:1', '--target', 'first', path);
  expect(await docker('run', '--rm', 'first:1', 'sh', '-c', 'ls /work; stat -c "%a %N" /made/*')).toBe(
    "604 /made/here\n777 '/made/link' -> 'here'",
  );
  expect(await docker('ps', '--all', '--quiet')).toBe('');
});

it('a command has what a container has, and no account of the cluster', async () => {
  const dockerfile = `
    FROM box:1
    ARG MARK
    RUN test ! -e /var/run/secrets && test ! -e /run/secrets && echo "mark $MARK" && exit 7
  `;
  const failure = docker('build', '--build-arg', 'MARK=seen', context('fails', dockerfile));
  await expect(failure).rejects.toMatchObject({
    code: 7,
    stdout: expect.stringContaining('mark seen') as string,
    stderr: expect.stringContaining('returned a non-zero code: 7') as string,
  });
  // as with dockerd, for who wants to look
  const [container = ''] = (await docker('ps', '--all', '--quiet', '--no-trunc')).split('\n');
  const pod = pods().find(({ metadata }) => container.startsWith(metadata?.labels?.['caisson.io/id'] ?? '-'));
  expect(pod?.spec).toMatchObject({ automountServiceAccountToken: false });
  expect(pod?.spec?.imagePullSecrets).toEqual([{ name: making.secretName }]);
  await docker('rm', container);
});

it('a build that its client gives up leaves no container and no Pod', async () => {
  const path = context('waits', 'FROM box:1\nRUN echo begun && sleep 600\n');
  const client = spawn(making.cli, [...making.flags, 'build', path], {
    env: { ...process.env, DOCKER_BUILDKIT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let told = '';
  for await (const chunk of client.stdout) {
    told += String(chunk);
    if (/^begun$/m.test(told)) break;
  }
  const id = await docker('ps', '--quiet', '--no-trunc');
  const filters = ['--filter', `container=${id}`, '--filter', 'event=destroy'];
  const events = spawn(making.cli, [...making.flags, 'events', '--since', '1', ...filters], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  client.kill('SIGINT');
  await once(events.stdout, 'data');
  events.kill();
  expect(await docker('ps', '--all', '--quiet')).toBe('');
  expect(pods().filter(({ metadata }) => metadata?.deletionTimestamp === undefined)).toEqual([]);
});

it('what a container has become is committed as an image', async () => {
  await docker('run', '--name', 'changed', 'box:1', 'sh', '-c', 'echo written >/file; rm /bin/false');
  await docker('commit', '--change', 'CMD ["sh", "-c", "cat /file; ls /bin/false"]', 'changed', 'changed:1');
  await docker('rm', 'changed');
  await expect(docker('run', '--rm', 'changed:1')).rejects.toMatchObject({
    stdout: 'written\n',
    stderr: expect.stringContaining('/bin/false: No such file') as string,
  });
});
