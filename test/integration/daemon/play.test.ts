// Kubernetes manifests as a user plays them, on a daemon of its own.

import { execFile, execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CaissonDaemon } from '../../support/caisson-daemon';
import { findDockerClis, runScript } from '../../support/docker-cli';
import { projectDir } from '../../support/project-dir';
import { makeScratchDir } from '../../support/scratch-dir';
import { makeBusyboxArchive } from '../../support/test-images';
import { recordedReplyErrors } from '../../support/wire-replies';

jest.setTimeout(120_000);

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

function manifest(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const pair = `
apiVersion: v1
kind: ConfigMap
metadata: { name: conf }
data: { greeting: hello }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: keep }
spec: {}
---
apiVersion: v1
kind: Pod
metadata: { name: pair }
spec:
  terminationGracePeriodSeconds: 1
  volumes:
    - { name: shared, emptyDir: {} }
    - { name: conf, configMap: { name: conf } }
    - { name: keep, persistentVolumeClaim: { claimName: keep } }
  initContainers:
    - name: init
      image: busybox:1
      command: [sh, -c, 'echo prepared >/shared/page; echo run >>/keep/runs']
      volumeMounts: [{ name: shared, mountPath: /shared }, { name: keep, mountPath: /keep }]
  containers:
    - name: web
      image: busybox:1
      command: [httpd, -f, -p, '8080', -h, /shared]
      ports: [{ name: http, containerPort: 8080 }]
      volumeMounts: [{ name: shared, mountPath: /shared }]
      readinessProbe: { httpGet: { path: /page, port: http }, periodSeconds: 1 }
    - name: client
      image: busybox:1
      env: [{ name: GREETING, valueFrom: { configMapKeyRef: { name: conf, key: greeting } } }]
      command: [sh, -c, 'touch /alive; echo started; exec sleep 9999']
      volumeMounts: [{ name: conf, mountPath: /conf }, { name: keep, mountPath: /keep }]
      livenessProbe: { exec: { command: [test, -f, /alive] }, periodSeconds: 1, failureThreshold: 2 }
`;

it('plays a Pod of two containers, restarts the one whose probe fails, replaces it, and takes it down', async () => {
  const file = manifest('pair.yaml', pair);
  expect(await caisson('play', file)).toBe('pair\n');
  const running = `wait_for 'docker exec pair-client wget -qO- http://localhost:8080/page'`;
  const look = "docker exec pair-client sh -c 'echo $GREETING; cat /conf/greeting; echo; cat /keep/runs'";
  expect(await docker(running, look)).toBe('hello\nhello\nrun\n');

  await docker(
    'docker exec pair-client rm /alive',
    'wait_for \'[ "$(docker logs pair-client | grep -c started)" = 2 ]\'',
  );
  expect(await caisson('plays')).toMatch(/^Pod\/pair +active +pair +Running +2\/2 +1/m);

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

it('runs a Job to its end, and says which init container has failed', async () => {
  const container = (command: string): string =>
    `{ name: c, image: 'busybox:1', command: [sh, -c, '${command}'] }`;
  const file = manifest(
    'ends.yaml',
    `
apiVersion: batch/v1
kind: Job
metadata: { name: job }
spec:
  completions: 2
  completionMode: Indexed
  template: { spec: { restartPolicy: Never, containers: [${container('echo index $JOB_COMPLETION_INDEX')}] } }
---
apiVersion: v1
kind: Pod
metadata: { name: bad }
spec:
  restartPolicy: Never
  initContainers: [{ name: i, image: 'busybox:1', command: [sh, -c, 'exit 3'] }]
  containers: [${container('echo never')}]
`,
  );
  await caisson('play', file);
  await docker("wait_for 'docker logs job-1-c | grep -q index'");
  expect(
    await docker('docker wait bad-i', 'docker logs job-0-c', 'docker logs job-1-c', 'docker logs bad-c'),
  ).toBe('3\nindex 0\nindex 1\n');
  await caisson('down', file);
  expect(await docker('docker ps -aq')).toBe('');
});
