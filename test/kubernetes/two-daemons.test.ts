// Two daemons in front of one namespace: what one does the other knows, tells and goes on with.

import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { makeScratchDir } from '../support/process/scratch-dir';
import { sendHttp } from '../support/wire/http-client';
import { TestCluster, registryHost } from './harness/test-cluster';

jest.setTimeout(300_000);

const cli = findDockerClis()[0]?.path ?? 'docker';
const image = `${registryHost}/busybox`;
const dir = makeScratchDir('two-daemons');
const namespace = `two-${process.pid}`;
let one: ClusterDaemon;
let other: ClusterDaemon;

beforeAll(async () => {
  const cluster = TestCluster.current();
  one = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'one') });
  other = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'other'), beside: one });
  await docker(one, 'pull', '--quiet', image);
});

afterAll(async () => {
  await other.stop();
  await one.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Stdout. Rejects with stderr where it fails. */
async function docker(daemon: ClusterDaemon, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(cli, ['--host', daemon.host, ...args]);
  return stdout.trimEnd();
}

/** Lines of a docker command that goes on. */
class Running {
  readonly process: ChildProcessWithoutNullStreams;
  readonly lines: string[] = [];
  readonly ended: Promise<unknown>;
  #look: () => void = () => undefined;

  constructor(daemon: ClusterDaemon, ...args: string[]) {
    this.process = spawn(cli, ['--host', daemon.host, ...args]);
    this.ended = once(this.process, 'close');
    createInterface(this.process.stdout).on('line', (line) => {
      this.lines.push(line);
      this.#look();
    });
  }

  /** Resolves when there is a line with this in it. */
  async says(part: string): Promise<void> {
    while (!this.lines.some((line) => line.includes(part)))
      await new Promise<void>((resolve) => (this.#look = resolve));
  }

  async end(): Promise<void> {
    this.process.kill();
    await this.ended;
  }
}

/** Events of containers as a daemon tells them; resolves when it does. */
async function follow(daemon: ClusterDaemon): Promise<Running> {
  const format = '{{.Action}} {{.Actor.Attributes.name}} {{.TimeNano}}';
  const events = new Running(daemon, 'events', '--filter', 'type=container', '--format', format);
  // Who is not followed yet is told nothing: a container that is made and removed until that is heard of.
  for (let tries = 0; !events.lines.some((line) => line.includes('destroy mark')); tries++) {
    await docker(daemon, 'create', '--name', `mark${tries}`, image, 'true');
    await docker(daemon, 'rm', `mark${tries}`);
  }
  return events;
}

it('each lists, inspects and removes what the other has made', async () => {
  const id = await docker(one, 'create', '--name', 'made', '--label', 'of=one', image, 'true');
  expect(await docker(other, 'inspect', '--format', '{{.Id}}', 'made')).toBe(id);
  expect(await docker(other, 'ps', '--all', '--quiet', '--no-trunc', '--filter', 'label=of=one')).toBe(id);
  await docker(other, 'rename', 'made', 'renamed');
  await expect(docker(one, 'create', '--name', 'renamed', image)).rejects.toThrow('is already in use');
  await docker(other, 'rm', 'renamed');
  await expect(docker(one, 'rm', 'renamed')).rejects.toThrow('No such container');
});

it('of two who take a name at once one has it, and the other hears so', async () => {
  for (let round = 0; round < 10; round++) {
    const name = `contested${round}`;
    const made = await Promise.allSettled(
      [one, other].map((daemon) => docker(daemon, 'create', '--name', name, image)),
    );
    const ids = made.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const refusals = made.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    expect(ids).toHaveLength(1);
    expect(refusals[0]).toContain(
      `The container name "/${name}" is already in use by container "${ids[0] ?? ''}"`,
    );
    await docker(one, 'rm', name);
  }
});

it('one waits, attaches and reads the log of what the other has started', async () => {
  const script = 'until test -e /go; do sleep 0.1; done; echo said; exit 7';
  await docker(one, 'run', '--detach', '--name', 'seen', image, 'sh', '-c', script);
  const events = await follow(other);
  const attached = new Running(other, 'attach', 'seen');
  await events.says('attach seen');
  const waiting = docker(other, 'wait', 'seen');
  await docker(one, 'exec', 'seen', 'touch', '/go');
  expect(await waiting).toBe('7');
  await attached.ended;
  expect(attached.lines).toEqual(['said']);
  expect(await docker(other, 'logs', 'seen')).toBe('said');
  await docker(other, 'rm', 'seen');
  await events.end();
});

it('an exec that one has created the other starts and inspects', async () => {
  await docker(one, 'run', '--detach', '--name', 'executes', image, 'sleep', '1000');
  const create = { AttachStdout: true, Cmd: ['sh', '-c', 'exit 4'] };
  const created = await sendHttp(one.host, {
    method: 'POST',
    path: '/v1.41/containers/executes/exec',
    body: create,
  });
  const { Id } = JSON.parse(created.body) as { Id: string };
  const start = { method: 'POST', path: `/v1.41/exec/${Id}/start`, body: { Detach: false, Tty: false } };
  expect((await sendHttp(other.host, start)).status).toBe(200);
  // the status is sent before the exec is looked at
  expect((await sendHttp(one.host, start)).body).toContain(`Exec command ${Id} has already run`);
  for (const daemon of [one, other]) {
    const { body } = await sendHttp(daemon.host, { method: 'GET', path: `/v1.41/exec/${Id}/json` });
    expect(JSON.parse(body)).toMatchObject({ Running: false, ExitCode: 4 });
  }
  await docker(other, 'rm', '--force', 'executes');
});

it('both tell of the same events in the same order', async () => {
  const followers = [await follow(one), await follow(other)];
  const turns = [one, other, one, other].map(async (daemon, index) => {
    const name = `told${index}`;
    await docker(daemon, 'create', '--name', name, image, 'true');
    await docker(daemon === one ? other : one, 'start', name);
    await docker(daemon, 'wait', name);
    await docker(daemon, 'rm', name);
  });
  await Promise.all(turns);
  await docker(one, 'create', '--name', 'last', image);
  await docker(one, 'rm', 'last');
  const told = await Promise.all(
    followers.map(async (events) => {
      await events.says('destroy last');
      await events.end();
      return events.lines.slice(events.lines.findIndex((line) => line.startsWith('create told')));
    }),
  );
  expect(told[0]).toEqual(told[1]);
  for (const index of [0, 1, 2, 3]) {
    const own = told[0]
      ?.filter((line) => line.includes(` told${index}`))
      .map((line) => line.split(' ').slice(0, 2));
    expect(own).toEqual([
      ['create', `told${index}`],
      ['start', `told${index}`],
      ['die', `told${index}`],
      ['destroy', `told${index}`],
    ]);
  }
});

it('what runs goes on when either is killed: exits, restarts and removals are the other’s', async () => {
  const loop = 'test -e /again && sleep 1000; touch /again; sleep 2; exit 3';
  const restarted = ['run', '--detach', '--name', 'again', '--restart', 'always', image, 'sh', '-c', loop];
  for (const daemon of [one, other]) {
    const survivor = daemon === one ? other : one;
    await docker(daemon, 'run', '--detach', '--name', 'ends', image, 'sh', '-c', 'sleep 2; exit 5');
    await docker(daemon, ...restarted);
    await docker(daemon, 'run', '--detach', '--name', 'goes', '--rm', image, 'sleep', '2');
    await daemon.kill9();
    expect(await docker(survivor, 'wait', 'ends')).toBe('5');
    const events = await follow(survivor);
    const isGone = async (): Promise<boolean> =>
      (await docker(survivor, 'ps', '--all', '--quiet', '--filter', 'name=goes')) === '';
    if (!(await isGone())) await events.says('destroy goes');
    const restarts = (): Promise<string> =>
      docker(survivor, 'inspect', '--format', '{{.RestartCount}} {{.State.Status}}', 'again');
    while ((await restarts()) !== '1 running') await events.says('start again');
    await docker(survivor, 'rm', '--force', 'ends', 'again');
    await events.end();
    await daemon.start();
    expect(await docker(daemon, 'ps', '--all', '--quiet')).toBe('');
  }
});
