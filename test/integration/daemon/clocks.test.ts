// The wall clock of a guest is the host's, whatever happened to the container or to its VM.

import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

jest.setTimeout(180_000);

const engine = useBusyboxDaemon('clocks', ['--experimental']);
const { docker } = engine;
/** What a clock that was left behind is behind by, at least. */
const awaySeconds = 4;
/** What a guest that is right may differ by. */
const toleratedSeconds = 1;

const now = (): number => Date.now() / 1000;

/** Seconds by which the container's clock differs from all that the host's was while it was asked. */
function difference(container: string): number {
  const before = now();
  const told = Number(docker('exec', container, 'date', '+%s'));
  const after = now();
  // `date` tells whole seconds
  if (told + 1 < before) return before - told - 1;
  return Math.max(0, told - after);
}

/** Resolves when so much time has passed for the host. */
async function timePasses(seconds: number): Promise<void> {
  const end = now() + seconds;
  while (now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 100));
}

beforeAll(() => {
  const rights = ['--cap-add', 'SYS_TIME', '--memory', '300m'];
  docker('run', '--detach', '--name', 'one', ...rights, 'busybox', 'sleep', '1d');
}, 180_000);

it('is right after a pause', async () => {
  docker('pause', 'one');
  await timePasses(awaySeconds);
  docker('unpause', 'one');
  expect(difference('one')).toBeLessThan(toleratedSeconds);
});

it('is right after QEMU was stopped', async () => {
  const pids = engine.daemon.qemuPids();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await timePasses(awaySeconds);
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  expect(difference('one')).toBeLessThan(toleratedSeconds);
});

it('is right when a checkpoint is restored', async () => {
  docker('checkpoint', 'create', 'one', 'then');
  await timePasses(awaySeconds);
  docker('start', '--checkpoint', 'then', 'one');
  expect(difference('one')).toBeLessThan(toleratedSeconds);
});

// As after the host was suspended while no daemon ran; one that runs notices the jump (unit/engine/vms/guest-clocks).
it('is put right by a daemon that finds it behind', async () => {
  const behind = Math.floor(now()) - 1000;
  docker('exec', 'one', 'date', '--set', `@${behind}`);
  expect(difference('one')).toBeGreaterThan(900);
  await engine.daemon.kill9();
  await engine.daemon.start();
  await until(() => difference('one') < toleratedSeconds);
});
