// A daemon is started while its VMs are in whatever state: it answers, each container's truth follows as its VM does, and what is
// connected through published ports notices nothing.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { VmSummary } from '../../../src/api/v1/types';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { tarHeader } from '../../support/images/tar-maker';
import { projectDir } from '../../support/process/project-dir';
import { sendHttp } from '../../support/wire/http-client';

jest.setTimeout(600_000); // a busy host is no failure

const engine = useBusyboxDaemon('restart');
const { docker } = engine;

/** What a docker command says that must fail. */
function refusal(...command: string[]): string {
  const { status, stdout, stderr } = spawnSync('docker', ['--host', engine.daemon.host, ...command], {
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  return stdout + stderr; // of an exec the stream has begun by then
}

function run(name: string, ...args: string[]): void {
  docker('run', '--detach', '--name', name, ...args);
}

/** QEMU that came to be with `work`. */
function qemuOf(work: () => void): number {
  const before = engine.daemon.qemuPids();
  work();
  const [pid] = engine.daemon.qemuPids().filter((one) => !before.includes(one));
  if (pid === undefined) throw new Error('no VM was made');
  return pid;
}

/** As `caisson vm ls` has them. */
async function listedVms(): Promise<VmSummary[]> {
  const { body } = await sendHttp(engine.daemon.host, { method: 'GET', path: '/v1/vms' });
  return JSON.parse(body) as VmSummary[];
}

const log = (): string => readFileSync(engine.daemon.process.logPath, 'utf8');

/** A file of 16 MiB, of whose contents a quarter comes. */
function beginningOfTarFile(): Buffer {
  return Buffer.concat([tarHeader({ name: 'file' }, 2 ** 24), Buffer.alloc(2 ** 22)]);
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk.toString();
  return text;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe('with a VM whose process is stopped', () => {
  let stopped = 0;
  let doomed = 0;

  beforeAll(async () => {
    stopped = qemuOf(() =>
      run('stopped', 'busybox', 'sh', '-c', 'until test -e /go; do sleep 1; done; echo well; exec sleep 1d'),
    );
    doomed = qemuOf(() => run('doomed', '--restart', 'always', 'busybox', 'sleep', '1d'));
    const removed = qemuOf(() => run('removed', 'busybox', 'sleep', '1d'));
    run('well', 'busybox', 'sleep', '1d');
    await engine.daemon.kill9();
    for (const pid of [stopped, doomed, removed]) process.kill(pid, 'SIGSTOP');
    await engine.daemon.start();
  });

  it('records are as last known, and other containers are reached', () => {
    expect(docker('ps', '--format', '{{.Names}}').split('\n').sort()).toEqual([
      'doomed',
      'removed',
      'stopped',
      'well',
    ]);
    expect(docker('inspect', '-f', '{{.State.Status}}', 'stopped')).toBe('running');
    expect(docker('exec', 'well', 'echo', 'reached')).toBe('reached');
  });

  it('VMs are listed whether they answer or not', async () => {
    const vms = await listedVms();
    const silent = vms.filter(({ unanswered }) => unanswered === true).map(({ pid }) => pid);
    expect(silent).toEqual(expect.arrayContaining([stopped, doomed]));
    expect(vms.some(({ unanswered }) => unanswered === undefined)).toBe(true);
  });

  it('what needs its guest ends with an error that says why', () => {
    for (const command of [
      ['exec', 'stopped', 'true'],
      ['top', 'stopped'],
      ['pause', 'stopped'],
      ['cp', 'stopped:/etc/hostname', '-'],
      ['logs', '-f', 'stopped'],
    ]) {
      expect(refusal(...command)).toMatch(/virtual machine \w+ can't answer: its process is stopped/);
    }
    expect(docker('stats', '--no-stream', 'well', 'stopped')).toContain('stopped');
  });

  it('kill and rm -f work, and no policy answers them', () => {
    docker('kill', 'doomed');
    expect(docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'doomed')).toBe('exited 137');
    expect(engine.daemon.qemuPids()).not.toContain(doomed);
    docker('rm', '-f', 'removed');
    expect(docker('ps', '-q', '--filter', 'name=removed')).toBe('');
    expect(engine.daemon.qemuPids()).toHaveLength(2);
    docker('rm', 'doomed');
  });

  it('it is adopted when it goes on, with all that it wrote', async () => {
    const wait = spawn('docker', ['--host', engine.daemon.host, 'wait', 'stopped'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let told = '';
    wait.stdout.setEncoding('utf8').on('data', (text: string) => (told += text));
    process.kill(stopped, 'SIGCONT');
    docker('exec', 'stopped', 'touch', '/go');
    await until(() => docker('logs', 'stopped') === 'well');
    docker('kill', 'stopped');
    await until(() => told === '137\n');
    await until(() => log().includes('every record is true'));
  });

  it('is refused, and killed, under a daemon that has it, too', () => {
    const pid = qemuOf(() => docker('start', 'stopped'));
    process.kill(pid, 'SIGSTOP');
    for (const command of [
      ['exec', 'stopped', 'true'],
      ['top', 'stopped'],
      ['cp', 'stopped:/etc/hostname', '-'],
      ['pause', 'stopped'],
    ]) {
      expect(refusal(...command)).toMatch(/can't answer: its process is stopped/);
    }
    expect(docker('inspect', '--size', '-f', '{{.State.Status}}', 'stopped')).toBe('running');
    docker('stop', '-t', '1', 'stopped');
    expect(engine.daemon.qemuPids()).not.toContain(pid);
    docker('rm', '-f', 'stopped', 'well');
  });

  it('copies that are under way end, and work again when it goes on', async () => {
    const pid = qemuOf(() =>
      run('copied', 'busybox', 'sh', '-c', 'head -c 64m /dev/zero > /big; echo made; exec sleep 1d'),
    );
    await until(() => docker('logs', 'copied') === 'made');
    // Nobody reads the one, and nobody writes to the other: both are under way for as long as that.
    const host = ['--host', engine.daemon.host];
    const out = spawn('docker', [...host, 'cp', 'copied:/big', '-'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const into = spawn('docker', [...host, 'cp', '-', 'copied:/tmp'], { stdio: ['pipe', 'ignore', 'pipe'] });
    const ends = [out, into].map((client) => new Promise<number | null>((end) => client.once('exit', end)));
    const said = [out, into].map((client) => textOf(client.stderr));
    await new Promise((resolve) => out.stdout.once('readable', resolve));
    // Taken when the guest's end reads: that much is in no buffer on the way.
    await new Promise((resolve) =>
      into.stdin.on('error', () => undefined).write(beginningOfTarFile(), resolve),
    );
    process.kill(pid, 'SIGSTOP');
    expect(await ends[1]).toBe(1);
    expect(await said[1]).toMatch(/can't answer: its process is stopped/);
    out.stdout.resume();
    expect(await ends[0]).toBe(1);
    expect(await said[0]).toContain('unexpected EOF');
    process.kill(pid, 'SIGCONT');
    docker('cp', 'copied:/etc/hostname', '-');
    docker('rm', '-f', 'copied');
  });
});

describe('a client at a published port', () => {
  const echo = ['busybox', 'nc', '-ll', '-p', '80', '-e', 'cat'];
  let client: ChildProcess | undefined;
  let heard = '';
  let isOver = false;

  /** Where the daemon is: netd-host is there, too, and stays. */
  function wrapped(...command: string[]): string[] {
    const pid = readFileSync(join(engine.dir, 'run', 'netd.pid'), 'utf8').trim();
    return ['nsenter', '--target', pid, '--net', ...command];
  }

  function connect(): void {
    const program =
      "const s = require('net').connect(8080, '127.0.0.1'); process.stdin.pipe(s); s.pipe(process.stdout); s.on('error', () => process.exit(1))";
    const [file = '', ...args] = wrapped(process.execPath, '-e', program);
    client = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    client.stdout?.setEncoding('utf8').on('data', (text: string) => (heard += text));
    client.once('exit', () => (isOver = true));
  }

  async function stillConnected(word: string): Promise<void> {
    client?.stdin?.write(`${word}\n`);
    await until(() => isOver || heard.includes(`${word}\n`));
    expect({ isOver, heard: heard.includes(`${word}\n`) }).toEqual({ isOver: false, heard: true });
  }

  /** New connections are taken, too, at every moment until `work` is done. */
  async function whileDialled(work: () => Promise<void>): Promise<void> {
    const dialler = `
      const net = require('net'); let tried = 0; const end = () => { console.log(tried); process.exit(0); };
      const dial = () => { const s = net.connect(8080, '127.0.0.1', () => {
          if (++tried === 1) console.log('dials'); s.destroy(); setTimeout(dial, 5); });
        s.on('error', (error) => { console.log(error.code); process.exit(1); }); };
      process.stdin.on('end', end).resume(); dial();`;
    const [file = '', ...args] = wrapped(process.execPath, '-e', dialler);
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await until(() => said !== ''); // `work` may be over before the program has come up
    await work();
    child.stdin.end();
    expect({ code: await exited, said }).toEqual({
      code: 0,
      said: expect.stringMatching(/^dials\n[1-9]\d*\n$/) as unknown,
    });
  }

  /** Of the same sources, elsewhere. */
  function anotherBuild(): string {
    const release = join(engine.dir, 'release');
    mkdirSync(release);
    cpSync(join(projectDir, 'dist'), join(release, 'dist'), { recursive: true });
    for (const name of ['node_modules', 'build', 'package.json'])
      symlinkSync(join(projectDir, name), join(release, name));
    return join(release, 'dist', 'main.js');
  }

  beforeAll(async () => {
    run('echo', '--publish', '8080:80', '--publish', '8081:81/udp', ...echo);
    // until the server listens
    do {
      isOver = false;
      connect();
      client?.stdin?.write('first\n');
      await until(() => isOver || heard === 'first\n');
    } while (heard === '');
  });

  afterAll(() => {
    client?.kill();
  });

  it.each<[string, () => Promise<void>]>([
    [
      'a daemon that is killed',
      async () => {
        await engine.daemon.kill9();
        await engine.daemon.start();
      },
    ],
    [
      'one that is told to end',
      async () => {
        await engine.daemon.process.stop();
        await engine.daemon.start();
      },
    ],
    [
      'another build',
      async () => {
        await engine.daemon.process.stop();
        await engine.daemon.start(anotherBuild());
      },
    ],
  ])('stays connected through %s', async (name, restart) => {
    await whileDialled(async () => {
      await restart();
      await until(() => docker('exec', 'echo', 'echo', 'adopted') === 'adopted');
    });
    await stillConnected(name);
  });
});
