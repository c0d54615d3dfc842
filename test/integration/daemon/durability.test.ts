// What a container was told is written, on a volume and on a bind mount, is there after its VM or the daemon is killed in the
// middle of more writes.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

/**
 * Commits one number after the other, as databases do: to a journal that is synced, and to a state that is written anew,
 * synced and renamed. Says what it finds, and each number when it is safe.
 */
const writer = `
  for d in /volume /bind; do
    echo "found $d $(grep -c . $d/journal 2>/dev/null) $(tail -n 1 $d/journal 2>/dev/null) $(cat $d/state 2>/dev/null)"
  done
  # the one that is written last: a number that is not in it comes again
  i=$(cat /bind/state 2>/dev/null || echo 0)
  while i=$((i+1)); do
    for d in /volume /bind; do
      echo $i | dd of=$d/journal oflag=append conv=notrunc,fsync 2>/dev/null || exit 9
      echo $i | dd of=$d/state.new conv=fsync 2>/dev/null && mv $d/state.new $d/state && sync $d || exit 9
    done
    echo $i
  done`;

const engine = useBusyboxDaemon('durability');
const { docker } = engine;

/** What the container was told is safe. */
function committed(): number {
  return Math.max(0, ...docker('logs', 'writer').split('\n').map(Number).filter(Number.isInteger));
}

/** Resolves when more is safe than `before`. */
async function commitsAfter(before: number): Promise<void> {
  while (committed() <= before + 1) {
    expect(docker('inspect', '-f', '{{.State.Status}}', 'writer')).toBe('running');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Of the VM that runs the container. */
function qemuPid(): number {
  const podId = docker('inspect', '-f', '{{.Id}}', 'writer');
  const records = readdirSync(join(engine.dir, 'run', 'vms')).map((id) =>
    readFileSync(join(engine.dir, 'run', 'vms', id, 'vm.json'), 'utf8'),
  );
  const record = records.find((text) => text.includes(`"podId":"${podId}"`)) ?? '{}';
  // the daemon's own file
  return (JSON.parse(record) as { process: { pid: number } }).process.pid;
}

function expectWhole(files: string, atLeast: number): void {
  const journal = readFileSync(join(files, 'journal'), 'utf8').split('\n').slice(0, -1).map(Number);
  expect([...new Set(journal)]).toEqual(Array.from({ length: journal.at(-1) ?? 0 }, (_, index) => index + 1));
  expect(journal.length).toBeGreaterThanOrEqual(atLeast);
  const state = Number(readFileSync(join(files, 'state'), 'utf8'));
  expect(state).toBeGreaterThanOrEqual(atLeast);
  expect(journal).toContain(state);
}

test('ten kills, of the VM and of the daemon in turn', async () => {
  const bind = join(engine.dir, 'bind');
  mkdirSync(bind);
  const mounts = ['--volume', 'rows:/volume', '--volume', `${bind}:/bind`];
  docker('run', '--detach', '--name', 'writer', ...mounts, 'busybox', 'sh', '-c', writer);
  const volume = docker('volume', 'inspect', '-f', '{{.Mountpoint}}', 'rows');

  for (let round = 0; round < 10; round += 1) {
    const before = committed();
    await commitsAfter(before);
    if (round % 2 === 0) {
      process.kill(qemuPid(), 'SIGKILL');
      expect(docker('wait', 'writer')).toBe('137');
      // nobody writes now
      for (const files of [volume, bind]) expectWhole(files, committed());
      docker('start', 'writer');
    } else {
      await engine.daemon.kill9();
      await engine.daemon.start();
      expect(docker('inspect', '-f', '{{.State.Status}}', 'writer')).toBe('running');
    }
  }
  await commitsAfter(committed());
  docker('rm', '--force', 'writer');
  expect(
    docker('run', '--rm', ...mounts, 'busybox', 'sh', '-c', 'ls -A /volume; tail -n 1 /bind/journal'),
  ).toMatch(/^journal\nstate\n(state.new\n)?\d+$/);
}, 600_000);
