// Pods and VMs through the command `caisson`: the walk-throughs of docs/pods.md, with daemons that are killed in between.

import { execFile, execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CaissonInfo, PodInspect, PodSummary, VmSummary } from '../../../src/api/v1/types';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { sendHttp } from '../../support/wire/http-client';
import { projectDir } from '../../support/process/project-dir';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { makeBusyboxArchive } from '../../support/images/test-images';
import { recordedReplyErrors } from '../../support/wire/wire-replies';

const caissonScript = join(projectDir, 'bin', 'caisson');
// A busy host takes seconds for each command.
const caseTimeoutMs = 600_000;

let dir: string;
let daemon: CaissonDaemon;

beforeAll(async () => {
  dir = makeScratchDir('pods');
  daemon = await CaissonDaemon.start({
    dir,
    recordsReplies: true,
    args: ['--accel', 'tcg', '--pool-size', '1'],
  });
  docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'busybox:latest'));
}, caseTimeoutMs);

afterAll(async () => {
  await daemon.stop();
  expect(recordedReplyErrors(daemon.repliesPath)).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
}, caseTimeoutMs);

afterEach(async () => {
  for (const { name } of await show<PodSummary[]>('pod', 'ls')) await caisson('pod', 'rm', '--force', name);
  for (const { id, purpose } of await show<VmSummary[]>('vm', 'ls')) {
    if (purpose === 'kept') await caisson('vm', 'rm', id);
  }
}, caseTimeoutMs);

interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

async function caisson(...args: string[]): Promise<Outcome> {
  const env = { ...process.env, DOCKER_HOST: daemon.host };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [caissonScript, ...args], { env });
    return { exitCode: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, stdout, stderr };
  }
}

/** The trimmed output of what must succeed. */
async function ok(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await caisson(...args);
  if (exitCode !== 0) throw new Error(`caisson ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

async function show<Value>(...args: string[]): Promise<Value> {
  return JSON.parse(await ok(...args, '--format', 'json')) as Value;
}

/** Of the API: a command of ours is half a second of CPU time, and this is asked often. */
async function inspect(pod: string): Promise<PodInspect> {
  const { body } = await sendHttp(daemon.host, { method: 'GET', path: `/v1/pods/${pod}` });
  return JSON.parse(body) as PodInspect;
}

function docker(...args: string[]): string {
  const env = { ...process.env, DOCKER_HOST: daemon.host };
  return execFileSync('/usr/bin/docker', args, { env, encoding: 'utf8' }).trim();
}

/** A daemon that is killed, and the next one on its directories. */
async function restartDaemon(): Promise<void> {
  await daemon.kill9();
  await daemon.start();
}

/** Asks again until it is so. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function podFile(name: string, content: object): string {
  const path = join(dir, `${name}.json`);
  writeFileSync(path, JSON.stringify({ name, ...content }));
  return path;
}

it(
  'create, start, replace, stop, start on the same VM, rm',
  async () => {
    await ok('pod', 'create', '--name', 'first', 'busybox', 'sleep', '1000');
    expect(await show('pod', 'inspect', 'first')).toMatchObject([
      { state: 'Created', detail: '', addresses: {} },
    ]);
    await ok('pod', 'start', 'first');
    const { vmId, addresses } = await inspect('first');

    await ok('pod', 'create', '--name', 'second', 'busybox', 'sleep', '1000');
    await ok('pod', 'replace', '--time', '0', '--keep-address', 'first', 'second');
    expect(await inspect('first')).toMatchObject({ state: 'Created' });
    expect(await inspect('second')).toMatchObject({ state: 'Running', vmId, addresses });
    expect(await ok('pod', 'exec', 'second', 'ip', '-4', 'addr', 'show', 'eth0')).toContain(
      addresses['bridge']!.ipv4Address,
    );

    expect(await ok('pod', 'stop', '--time', '0', '--keep-vm', 'second')).toBe(vmId);
    await restartDaemon();
    expect(await show<VmSummary[]>('vm', 'ls')).toContainEqual(
      expect.objectContaining({ id: vmId, state: 'Idle', purpose: 'kept', used: true }),
    );
    await ok('pod', 'start', '--vm', vmId!, 'first');
    expect(await inspect('first')).toMatchObject({ state: 'Running', vmId });
    await restartDaemon();
    expect(await inspect('first')).toMatchObject({ state: 'Running', vmId });
    expect(await caisson('pod', 'start', '--vm', vmId!, 'second')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('is in use by Pod') as unknown,
    });
    expect(await caisson('pod', 'rm', 'first')).toMatchObject({
      exitCode: 1,
      stderr: 'caisson: Pod first is running: stop it before it can be removed, or force the removal\n',
    });

    await ok('pod', 'stop', '--time', '0', 'first');
    expect((await show<VmSummary[]>('vm', 'ls')).map(({ id }) => id)).not.toContain(vmId);
    await ok('pod', 'rm', 'first', 'second');
    expect(await show('pod', 'ls')).toEqual([]);
    expect(docker('ps', '--all', '--quiet')).toBe('');
  },
  caseTimeoutMs,
);

it(
  'several containers share localhost, processes and their VM, also when one is restarted',
  async () => {
    const sleep = { Image: 'busybox', Cmd: ['sleep', '1000'] };
    const serve = 'mkdir /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www';
    const file = podFile('web', {
      shareProcessNamespace: true,
      hostname: 'front',
      containers: [
        { name: 'prepare', role: 'init', body: { Image: 'busybox', Cmd: ['echo', 'prepared'] } },
        { name: 'server', body: { Image: 'busybox', Cmd: ['sh', '-c', serve] } },
        { name: 'client', role: 'sidecar', body: sleep },
      ],
    });
    await ok('pod', 'run', '--file', file);
    expect(
      docker('ps', '--filter', 'label=caisson.pod=web', '--format', '{{.Names}}').split('\n').sort(),
    ).toEqual(['web-client', 'web-server']);
    expect(await ok('pod', 'logs', '--container', 'prepare', 'web')).toBe('prepared');
    const client = (...command: string[]): Promise<string> =>
      ok('pod', 'exec', '--container', 'client', 'web', ...command);
    await until('the server', async () =>
      (
        await caisson('pod', 'exec', '-c', 'client', 'web', 'wget', '-qO-', 'http://localhost/')
      ).stdout.includes('hello'),
    );
    expect(await client('hostname')).toBe('front');
    expect(await client('ps')).toContain('httpd -f');

    const { vmId } = await inspect('web');
    docker('restart', '--time', '0', 'web-server');
    await restartDaemon();
    expect(await inspect('web')).toMatchObject({ state: 'Running', vmId });
    expect(await client('ps')).toContain('httpd -f');

    await ok('pod', 'pause', 'web');
    expect(await inspect('web')).toMatchObject({ state: 'Running', detail: 'Paused' });
    await ok('pod', 'unpause', 'web');
    const wait = ok('pod', 'wait', 'web');
    docker('kill', 'web-server');
    expect(await wait).toBe('137');
    await until('the end of the Pod', async () => (await inspect('web')).state === 'Created');
    expect((await show<VmSummary[]>('vm', 'ls')).map(({ id }) => id)).not.toContain(vmId);
  },
  caseTimeoutMs,
);

it(
  'a start that a daemon was killed in is gone on with; a stop gives it up',
  async () => {
    const file = podFile('slow', {
      containers: [
        { name: 'first', role: 'init', body: { Image: 'busybox', Cmd: ['sleep', '1000'] } },
        { name: 'main', body: { Image: 'busybox', Cmd: ['sleep', '1000'] } },
      ],
    });
    await ok('pod', 'create', '--file', file);
    const firstRuns = async (): Promise<boolean> =>
      (await inspect('slow')).containers[0]?.status === 'running';
    const start = sendHttp(daemon.host, { method: 'POST', path: '/v1/pods/slow/start' }).catch(
      () => undefined,
    );
    await until('the init container', firstRuns);
    expect(await inspect('slow')).toMatchObject({ state: 'Running', detail: 'Starting' });
    const { startedAt } = (await inspect('slow')).containers[0]!;
    await restartDaemon();
    await start;
    await until('another start', async () => {
      const [first] = (await inspect('slow')).containers;
      return first?.status === 'running' && first.startedAt !== startedAt;
    });
    await ok('pod', 'stop', 'slow');
    expect(await inspect('slow')).toMatchObject({
      state: 'Created',
      containers: [{}, { status: 'created' }],
    });
    const { vms } = await show<CaissonInfo>('info');
    expect(vms).toMatchObject({ associated: 0, kept: 0 });
  },
  caseTimeoutMs,
);

it(
  'a VM of its own, a Docker container on it, and exit codes of workloads',
  async () => {
    const vm = await ok('vm', 'run');
    expect(await show<VmSummary[]>('vm', 'ls')).toContainEqual(
      expect.objectContaining({ id: vm, state: 'Idle', purpose: 'kept', used: false }),
    );
    const id = docker('create', '--name', 'plain', 'busybox', 'sleep', '1000');
    await ok('pod', 'start', '--vm', vm, 'plain');
    expect(await inspect('plain')).toMatchObject({ id, kind: 'container', state: 'Running', vmId: vm });
    expect(await caisson('vm', 'rm', vm)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('is in use by Pod plain') as unknown,
    });
    expect(await ok('pod', 'stop', '--time', '0', '--keep-vm', 'plain')).toBe(vm);
    await ok('vm', 'rm', vm);
    expect(await caisson('run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 3')).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(await caisson('pod', 'run', '--attach', '--rm', 'busybox', 'sh', '-c', 'exit 4')).toMatchObject({
      exitCode: 4,
    });
    expect(await show<PodSummary[]>('pod', 'ls')).toHaveLength(1);
    expect(await caisson('run', 'no such image')).toMatchObject({ exitCode: 125 });
  },
  caseTimeoutMs,
);
