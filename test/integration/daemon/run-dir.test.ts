// The run directory: one daemon has it, and what becomes of everything when somebody removes it, or the name of the network
// namespace in it.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';

jest.setTimeout(180_000);

const engine = useBusyboxDaemon('run-dir');
const { docker } = engine;
const runDir = (): string => join(engine.dir, 'run');

const log = (): string => readFileSync(engine.daemon.process.logPath, 'utf8');

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** A server that was just started may not listen yet. */
function untilServed(name: string): void {
  const look = 'until wget -q -O /dev/null http://127.0.0.1/hostname; do sleep 0.1; done';
  docker('exec', name, 'sh', '-c', look);
}

/** As a cleaner of temporary files does. What is mounted there is unmounted by who runs it, or somebody else. */
function removeRunDir(): void {
  execFileSync('umount', ['--lazy', join(runDir(), 'netns')]);
  rmSync(runDir(), { recursive: true });
}

it('is one daemon’s, also while none runs and VMs of its are there', async () => {
  docker('run', '--detach', '--name', 'first', 'busybox', 'sleep', '1d');
  const dir = join(engine.dir, 'second');
  mkdirSync(dir);
  const start = (): Promise<CaissonDaemon> =>
    CaissonDaemon.start({ dir, args: ['--run-dir', runDir(), '--pool-size', '0', '--accel', 'tcg'] });
  await expect(start()).rejects.toThrow(/another daemon \(pid \d+\) uses .*\/run: stop it first/);
  expect(docker('exec', 'first', 'echo', 'well')).toBe('well');
  await engine.daemon.kill9();
  await expect(start()).rejects.toThrow(/is the run directory of 1 VMs of the data root .*\/data: choose/);
  await engine.daemon.start();
  expect(docker('exec', 'first', 'echo', 'well')).toBe('well');
});

it('may lose the name of the network namespace, with and without a daemon', async () => {
  const reaches = (name: string): string =>
    docker('exec', name, 'wget', '-q', '-O', '-', `http://${address}/hostname`);
  docker('run', '--detach', '--name', 'server', 'busybox', 'httpd', '-f', '-h', '/etc');
  const address = docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'server');
  untilServed('server');
  expect(reaches('first')).toHaveLength(12);
  execFileSync('umount', ['--lazy', join(runDir(), 'netns')]);
  docker('run', '--detach', '--name', 'second', 'busybox', 'sleep', '1d');
  expect(reaches('second')).toHaveLength(12);
  await engine.daemon.kill9();
  execFileSync('umount', ['--lazy', join(runDir(), 'netns')]);
  await engine.daemon.start();
  docker('run', '--detach', '--name', 'third', 'busybox', 'sleep', '1d');
  expect(['first', 'second', 'third'].map((name) => reaches(name).length)).toEqual([12, 12, 12]);
});

it('is made again when it is removed under a daemon that runs', async () => {
  removeRunDir();
  await until(() => log().includes('somebody has removed files of the run directory'));
  expect(docker('exec', 'first', 'echo', 'well')).toBe('well');
  docker(
    'run',
    '--detach',
    '--name',
    'fourth',
    '--publish',
    '127.0.0.1::80',
    'busybox',
    'httpd',
    '-f',
    '-h',
    '/etc',
  );
  untilServed('fourth');
  expect(docker('exec', 'fourth', 'wget', '-q', '-O', '-', 'http://127.0.0.1/hostname')).toHaveLength(12);
  const vms = join(runDir(), 'vms');
  const recorded = (): number => readdirSync(vms).filter((id) => existsSync(join(vms, id, 'vm.json'))).length;
  await until(() => recorded() === engine.daemon.qemuPids().length);
  expect(existsSync(join(runDir(), 'netns'))).toBe(true);
});

it('may be gone at the start: no VM of before is left, and each container can be removed and started', async () => {
  expect(engine.daemon.qemuPids().length).toBeGreaterThan(3);
  await engine.daemon.kill9();
  removeRunDir();
  await engine.daemon.start();
  await until(() => engine.daemon.qemuPids().length === 0);
  await until(() => docker('ps', '--quiet') === '');
  docker('start', 'first');
  expect(docker('exec', 'first', 'echo', 'well')).toBe('well');
  docker('rm', '--force', 'first', 'second', 'third', 'fourth', 'server');
});
