// Kubernetes manifests as a user plays them, on a daemon of its own.

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { findDockerClis, runScript } from '../../support/engines/docker-cli';
import { projectDir } from '../../support/process/project-dir';
import { alice, aliceHtpasswd, startLocalRegistry } from '../../support/images/registry';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { makeBusyboxArchive } from '../../support/images/test-images';
import { sendHttp } from '../../support/wire/http-client';
import { recordedReplyErrors } from '../../support/wire/wire-replies';

jest.setTimeout(600_000);

const [cli] = findDockerClis();
let dir: string;
let daemon: CaissonDaemon;

beforeAll(async () => {
  dir = makeScratchDir('play');
  daemon = await CaissonDaemon.start({
    dir,
    recordsReplies: true,
    args: ['--accel', 'tcg', '--pool-size', '1'],
  });
  const archive = makeBusyboxArchive(dir, 'busybox:1');
  execFileSync(cli?.path ?? 'docker', ['-H', daemon.host, 'load', '-i', archive]);
});

afterAll(async () => {
  await daemon.stop();
  expect(recordedReplyErrors(daemon.repliesPath)).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
});

async function caisson(...args: string[]): Promise<string> {
  const main = join(projectDir, 'dist', 'main.js');
  return (await promisify(execFile)(process.execPath, [main, '--host', daemon.host, ...args])).stdout;
}

/** What the steps print, together. */
async function docker(...steps: string[]): Promise<string> {
  if (cli === undefined) throw new Error('there is no docker command');
  const results = await runScript({ cli, host: daemon.host, steps, timeoutMs: 60_000 });
  expect(results.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  return results.map(({ stdout }) => stdout).join('');
}

/** Of test/support/manifests, with paths of this test's directory. */
function manifest(name: string): string {
  const path = join(dir, name);
  const text = readFileSync(join(projectDir, 'test/support/manifests', name), 'utf8');
  writeFileSync(path, text.replaceAll('/scratch/', `${dir}/`));
  return path;
}

it('plays a Pod of two containers, restarts the one whose probe fails, replaces it, and takes it down', async () => {
  const file = manifest('pair.yaml');
  expect(await caisson('play', file)).toBe('pair\n');
  const running = `wait_for 'docker exec pair-client wget -qO- http://localhost:8080/page'`;
  const look = "docker exec pair-client sh -c 'echo $GREETING; cat /conf/greeting; echo; cat /keep/runs'";
  expect(await docker(running, look)).toBe('hello\nhello\nrun\n');

  await docker(
    'docker exec pair-client rm /alive',
    'wait_for \'[ "$(docker logs pair-client | grep -c started)" = 2 ]\'',
  );
  expect(await caisson('plays')).toMatch(/^Pod\/pair +active +pair +Running +2\/2 +1/m);
  await daemon.kill9();
  await daemon.start();
  await untilPlays(/^Pod\/pair +active +pair +Running +2\/2 +1/m);

  await expect(caisson('play', file)).rejects.toMatchObject({
    stderr: expect.stringContaining('is played already'),
  });
  await caisson('play', '--replace', file);
  expect(await docker(running, look)).toBe('hello\nhello\nrun\nrun\n');

  await daemon.kill9();
  await daemon.start();
  expect(await caisson('plays')).toContain('Pod/pair');
  await caisson('down', '--volumes', file);
  expect(await docker('docker ps -aq', 'docker volume ls -q')).toBe('');
});

it('runs Jobs to their ends, and says what has failed', async () => {
  const file = manifest('ends.yaml');
  await caisson('play', file);
  await docker(
    "wait_for 'docker logs many-0-c | grep -q index'",
    "wait_for 'docker logs many-1-c | grep -q index'",
  );
  expect(
    await docker('docker wait bad-init', 'docker logs many-0-c', 'docker logs many-1-c', 'docker logs bad-c'),
  ).toBe('3\nindex 0\nindex 1\n');
  await untilPlays(/^Job\/gives-up +ended +gives-up-0 +Failed .*BackoffLimitExceeded$/m);
  await untilPlays(/^Job\/overdue +ended .*DeadlineExceeded$/m);
  await untilPlays(/^Job\/many +ended +many-0 +Succeeded/m);
  await untilPlays(/^Pod\/bad +active +bad +Pending|^Pod\/bad +ended +bad +Failed/m);
  await caisson('down', file);
  expect(await docker('docker ps -aq')).toBe('');
});

/** Looks at each change until the command shows that. */
async function untilPlays(pattern: RegExp): Promise<void> {
  const state = async (): Promise<string> =>
    (await sendHttp(daemon.host, { method: 'GET', path: '/v1/play' })).body;
  for (;;) {
    const before = await state();
    if (pattern.test(await caisson('plays'))) return;
    while ((await state()) === before) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

it('gives a Pod its sidecar, hooks, volumes, fields and rights', async () => {
  const file = manifest('fields.yaml');
  await caisson('play', file);
  await untilPlays(/^Pod\/fields +active +fields +Running +2\/2/m);
  const look = (script: string): string => `docker exec fields-main sh -ec '${script}'`;
  expect((await docker(look('cat /work/order'))).split('\n')).toEqual(['sidecar', 'init', 'hook', '']);
  expect(await docker(look('id -u; id -g; id -G; grep CapEff /proc/self/status; hostname'))).toBe(
    '1000\n3000\n3000 2000 4000\nCapEff:\t0000000000000000\nhost-a\n',
  );
  expect(await docker(look('echo $POD $TIER $NOTE $LIMIT $BOTH $LOGIN_user'))).toBe(
    'fields back a note 64 fields-back ann\n',
  );
  // The volume's group may write, also below it; modes and names are as asked for.
  await docker(look('touch /work/w /sub/w /expr/w /fast/w'));
  expect(await docker(look('stat -c "%a %g" /sub /expr /work /work/a/b/w /work/fields/w'))).toBe(
    ['2775 2000', '2775 2000', '2775 2000', '644 2000', '644 2000', ''].join('\n'),
  );
  expect(
    await docker(look('cd /all; stat -Lc "%n %a" labels word conf/app.conf; cat conf/app.conf labels')),
  ).toBe('labels 440\nword 440\nconf/app.conf 440\nlevel = 3\napp="fields"\ntier="back"');
  expect(
    await docker(look('cat /one/colour; grep -c alias.example /etc/hosts; df -m /fast | grep -c " 8 "')),
  ).toBe('green1\n1\n');
  expect(
    await docker(look('! touch /root-is-read-only 2>/dev/null; cat /proc/sys/kernel/shm_rmid_forced')),
  ).toBe('1\n');
  await caisson('down', file);
  expect(readFileSync(join(dir, 'host-dir', 'stopped'), 'utf8')).toBe('hook\n');
  expect(existsSync(join(dir, 'host-file'))).toBe(true);
  expect(await docker('docker ps -aq', 'docker volume ls -q')).toBe('');
});

it('keeps a StatefulSet in order with a volume each, and a DaemonSet; a grace period of 0 kills', async () => {
  const file = manifest('sets.yaml');
  await caisson('play', file);
  await untilPlays(/^StatefulSet\/db +active +db-1 +Running +1\/1/m);
  await untilPlays(/^DaemonSet\/agent +active +agent-0 +Running +1\/1/m);
  expect(await docker('docker exec db-0-c cat /data/who', 'docker exec db-1-c cat /data/who')).toBe(
    'db-0\ndb-1\n',
  );
  const started = await docker("docker inspect -f '{{.State.StartedAt}}' db-0-c db-1-c");
  expect(started.trim().split('\n')).toEqual(started.trim().split('\n').sort());
  await caisson('down', file);
  expect(await docker('docker volume ls -q')).toBe('data-db-0\ndata-db-1\n');
  await expect(caisson('down', '--force', file)).rejects.toMatchObject({
    stderr: expect.stringContaining('nothing of the file is played'),
  });
  await docker('docker volume rm data-db-0 data-db-1');
});

it('pulls with the credentials of imagePullSecrets, and not without', async () => {
  const registry = await startLocalRegistry({ htpasswd: aliceHtpasswd });
  try {
    const image = `${registry.host}/private`;
    await docker(
      `echo ${alice.password} | docker login -u ${alice.username} --password-stdin ${registry.host}`,
      `docker tag busybox:1 ${image}`,
      `docker push -q ${image}`,
      `docker rmi ${image}`,
    );
    const play = (name: string, ...secrets: object[]): Promise<string> => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: {
          imagePullSecrets: secrets.map(() => ({ name: 'credentials' })),
          containers: [{ name: 'main', image, command: ['sleep', '1000'] }],
        },
      };
      const file = join(dir, `${name}.yaml`);
      // a JSON document is a YAML document
      writeFileSync(file, [...secrets, pod].map((document) => JSON.stringify(document)).join('\n---\n'));
      return caisson('play', file);
    };
    const refusal = `Head "http://${registry.host}/v2/private/manifests/latest": no basic auth credentials`;
    await expect(play('without')).rejects.toMatchObject({ stderr: expect.stringContaining(refusal) });

    const auth = Buffer.from(`${alice.username}:${alice.password}`).toString('base64');
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'credentials' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [registry.host]: { auth } } }) },
    };
    expect(await play('with', secret)).toBe('with\n');
    await docker(`wait_for 'docker exec with-main true'`);
  } finally {
    await registry.stop();
  }
});
