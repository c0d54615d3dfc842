// Checkpoints with real VMs: memory, processes and disk come back, after a crash of the daemon too, and in another
// container.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

/** Counts in memory, and tells it on its output and on its disk. */
const counter = 'i=0; while :; do i=$((i+1)); echo $i; echo $i >/n; usleep 100000; done';
/** More than the template has, where the host does: QEMU reads all memory, and that of a clone is slow the first time. */
const memory = ['--memory', '9g'];
const engine = useBusyboxDaemon('checkpoint', ['--experimental']);
const { docker, refusal } = engine;

function counted(container: string): number[] {
  return docker('logs', container).split('\n').filter(Boolean).map(Number);
}

/** What the file says: the processes run, and their disk is there. */
function fileOf(container: string): number {
  return Number(docker('exec', container, 'cat', '/n'));
}

/** Resolves when it has counted on from `from`. */
async function countsOn(container: string, from: number): Promise<void> {
  for (;;) {
    if ((counted(container).at(-1) ?? 0) > from && fileOf(container) > from) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A value that each guest has for itself, by a command in the container. */
function factOf(container: string, command: string): string {
  return docker('exec', container, 'sh', '-c', command);
}

/** Leaves nothing in the directory, and the container running. */
function expectRefusalOfFullDisk(container: string): void {
  const small = join(engine.dir, 'small');
  mkdirSync(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'small', small]);
  try {
    expect(refusal('checkpoint', 'create', '--checkpoint-dir', small, container, 'large')).toContain(
      `Cannot checkpoint container ${container}: no space left on device`,
    );
    expect(readdirSync(small)).toEqual([]);
    expect(docker('inspect', '--format', '{{.State.Status}}', container)).toBe('running');
  } finally {
    execFileSync('umount', [small]);
  }
}

async function vmsNumber(count: number): Promise<void> {
  await until(() => engine.daemon.qemuPids().length === count);
}

/** A daemon clears away what an earlier one has left while it serves clients. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** The daemon dies while a VM takes up the state. The next one finds the container as it was, and it starts as ever. */
async function killDuringRestore(container: string, checkpoint: string): Promise<void> {
  docker('kill', container);
  docker('update', '--memory', '300m', '--memory-swap', '300m', container); // so that its next VM is a clone
  await vmsNumber(0);
  const start = spawn('docker', [
    '--host',
    engine.daemon.host,
    'start',
    '--checkpoint',
    checkpoint,
    container,
  ]);
  await vmsNumber(1);
  await engine.daemon.kill9();
  start.kill();
  await engine.daemon.start();
  expect(docker('inspect', '--format', '{{.State.Status}}', container)).toBe('exited');
  await vmsNumber(0);
  const others = (): string[] =>
    readdirSync(join(engine.dir, 'data', 'disks')).filter((name) => !name.endsWith('.ext4'));
  await until(() => others().length === 0);
  docker('start', container);
}

test('a container goes on where it was, after a crash of the daemon too, and as another container', async () => {
  docker('run', '--detach', '--name', 'one', ...memory, 'busybox', 'sh', '-c', counter);
  await countsOn('one', 2);
  expectRefusalOfFullDisk('one');
  await countsOn('one', counted('one').length);
  docker('checkpoint', 'create', '--leave-running', 'one', 'early');
  const early = counted('one').length;
  // well past what the other one goes on with: it counts too before it is looked at
  await countsOn('one', early + 3);
  docker('checkpoint', 'create', 'one', 'late');
  // Recorded by the time that the command is back.
  expect(docker('inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', 'one')).toBe('exited 137');
  expect(docker('checkpoint', 'ls', 'one').split('\n').slice(1)).toEqual(['early', 'late']);
  expect(refusal('checkpoint', 'create', 'one', 'later')).toContain('Container one not running');
  const before = counted('one');

  const checkpoints = join(
    engine.dir,
    'data',
    'containers',
    docker('inspect', '-f', '{{.Id}}', 'one'),
    'checkpoints',
  );
  await engine.daemon.kill9();
  mkdirSync(join(checkpoints, '.half.new'));
  await engine.daemon.start();
  await until(() => !readdirSync(checkpoints).includes('.half.new'));
  expect(readdirSync(checkpoints).sort()).toEqual(['early', 'late']);

  expect(refusal('start', '--checkpoint', 'nosuch', 'one')).toContain(
    'checkpoint nosuch does not exist for container /one',
  );
  docker('start', '--checkpoint', 'late', 'one');
  await countsOn('one', before.length);
  const after = counted('one');
  expect(after).toEqual(after.map((_, index) => index + 1));

  docker('create', '--name', 'two', '--hostname', 'twin', '--memory', '300m', 'busybox', 'sh', '-c', counter);
  docker('start', '--checkpoint', 'early', '--checkpoint-dir', checkpoints, 'two');
  const first = counted('two')[0] ?? early;
  expect(first).toBeLessThan(before.length);
  await countsOn('two', first);
  expect(counted('two')[0]).toBeGreaterThan(2);
  expect(factOf('two', 'hostname; cat /etc/hostname; cat /sys/fs/cgroup/memory.max')).toBe(
    'twin\ntwin\n314572800',
  );
  for (const fact of ['cat /sys/class/net/eth0/address', 'hostname -i', 'cat /proc/sys/kernel/random/uuid']) {
    expect(factOf('two', fact)).not.toBe(factOf('one', fact));
  }
  expect(
    factOf('two', 'ping -c 1 -W 5 "$0" >/dev/null && echo there'.replace('$0', factOf('one', 'hostname -i'))),
  ).toBe('there');
  docker('rm', '--force', 'two');

  expect(refusal('checkpoint', 'create', 'one', 'late')).toContain(
    'cannot checkpoint container one: checkpoint with name late already exists for container one',
  );
  await killDuringRestore('one', 'late');
  await countsOn('one', 1);
  docker('checkpoint', 'rm', 'one', 'late');
  expect(refusal('checkpoint', 'rm', 'one', 'late')).toContain(
    'checkpoint late does not exist for container one',
  );
  docker('rm', '--force', 'one');
  expect(existsSync(checkpoints)).toBe(false);
}, 240_000);

test('what could not be restored is refused before anything of it is saved', () => {
  docker('run', '--detach', '--name', 'terminal', '--tty', 'busybox', 'cat');
  expect(refusal('checkpoint', 'create', 'terminal', 'never')).toContain(
    'checkpoint not support on containers with tty',
  );
  docker('run', '--detach', '--name', 'alone', 'busybox', 'sleep', '1000');
  expect(refusal('checkpoint', 'create', 'alone', '../x')).toContain('Invalid checkpoint ID (../x)');
  docker('run', '--detach', '--name', 'joined', '--pid', 'container:alone', 'busybox', 'sleep', '1000');
  for (const name of ['alone', 'joined']) {
    expect(refusal('checkpoint', 'create', name, 'never')).toContain('shares its virtual machine');
    expect(docker('checkpoint', 'ls', name).split('\n')).toHaveLength(1);
  }
}, 60_000);
