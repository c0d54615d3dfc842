// The daemon is killed like a process that runs out of memory is, again and again, while containers run.

import { spawn } from 'node:child_process';

import { describeWithOwnDaemon, eventually } from '../harness/own-daemon';

/** The numbers of `line N` lines; throws at any other line. */
function lineNumbers(output: string): number[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^line (\d+)$/.exec(line);
      if (match === null) throw new Error(`not a line of the counter: ${JSON.stringify(line)}`);
      return Number(match[1]);
    });
}

function expectContiguous(numbers: readonly number[]): void {
  const wrong = numbers.findIndex((number, index) => number !== index + 1);
  expect({ at: wrong, around: wrong === -1 ? [] : numbers.slice(Math.max(0, wrong - 3), wrong + 3) }).toEqual(
    {
      at: -1,
      around: [],
    },
  );
}

describeWithOwnDaemon('a daemon killed by SIGKILL', { images: ['busybox'] }, (own) => {
  test('containers run on, and no line of their output is lost or doubled', async () => {
    const counter = 'i=0; while ! test -e /stop; do i=$((i+1)); echo line $i; usleep 3000; done; exit 7';
    own.docker('run', '-d', '--name', 'counter', 'busybox', 'sh', '-c', counter);
    const identity = (): string =>
      own.docker(
        'exec',
        'counter',
        'sh',
        '-c',
        'cut -d" " -f22 /proc/1/stat; cat /proc/sys/kernel/random/boot_id',
      );
    const before = { identity: identity(), pid: own.docker('inspect', '-f', '{{.State.Pid}}', 'counter') };

    for (const round of [1, 2, 3]) {
      const follower = spawn('/usr/bin/docker', ['--host', own.daemon.host, 'logs', '-f', 'counter']);
      let followed = '';
      follower.stdout.on('data', (chunk: Buffer) => (followed += chunk.toString()));
      await eventually('lines arrive', () => lineNumbers(complete(followed)).length > round * 50);
      await own.daemon.kill9();
      await new Promise((resolve) => setTimeout(resolve, 300 * round));
      await own.daemon.start();
      expectContiguous(lineNumbers(complete(followed)));

      const state = own.docker(
        'inspect',
        '-f',
        '{{.State.Running}} {{.State.Status}} {{.RestartCount}}',
        'counter',
      );
      expect(state.trim()).toBe('true running 0');
      expect({ identity: identity(), pid: own.docker('inspect', '-f', '{{.State.Pid}}', 'counter') }).toEqual(
        before,
      );
      const seen = lineNumbers(own.docker('logs', 'counter')).length;
      await eventually('it goes on', () => lineNumbers(own.docker('logs', 'counter')).length > seen);
    }

    // the container's end may come before the exec's, and then that is killed
    own.tryDocker('exec', 'counter', 'touch', '/stop');
    expect(own.docker('wait', 'counter').trim()).toBe('7');
    const numbers = lineNumbers(own.docker('logs', 'counter'));
    expectContiguous(numbers);
    expect(numbers.length).toBeGreaterThan(150);
  }, 600_000);

  test('what ended while it was away is found ended, with its status and its last words', async () => {
    own.docker('run', '-d', '--name', 'short', 'busybox', 'sh', '-c', 'sleep 2; echo last words; exit 9');
    await own.daemon.kill9();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await own.daemon.start();
    expect(own.docker('wait', 'short').trim()).toBe('9');
    expect(own.docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'short').trim()).toBe(
      'exited 9',
    );
    expect(own.docker('logs', 'short')).toBe('last words\n');
  }, 600_000);

  test('a VM that dies while it is away, as with its host, is found dead, and its policy answers', async () => {
    own.docker('run', '-d', '--name', 'doomed', 'busybox', 'sleep', '1000');
    own.docker('run', '-d', '--name', 'revived', '--restart', 'on-failure', 'busybox', 'sleep', '1000');
    await own.daemon.kill9();
    for (const pid of own.daemon.qemuPids()) process.kill(pid, 'SIGKILL');
    await own.daemon.start();
    const state = await eventually('it is found dead', () => {
      const text = own.docker('inspect', '-f', '{{.State.Status}} {{.State.Running}}', 'doomed').trim();
      return text === 'running true' ? undefined : text;
    });
    expect(state).toBe('exited false');
    expect(own.docker('inspect', '-f', '{{.State.ExitCode}}', 'doomed').trim()).toBe('255');
    await eventually('its policy starts the other one', () =>
      own.docker('inspect', '-f', '{{.State.Status}}', 'revived').trim() === 'running' ? true : undefined,
    );
    own.docker('rm', '-f', 'doomed', 'revived');
  }, 600_000);

  test('restart policies and --rm are kept', async () => {
    own.docker(
      'run',
      '-d',
      '--name',
      'again',
      '--restart',
      'always',
      'busybox',
      'sh',
      '-c',
      'sleep 2; exit 1',
    );
    own.docker('run', '-d', '--rm', '--name', 'gone', 'busybox', 'sleep', '2');
    await own.daemon.kill9();
    await new Promise((resolve) => setTimeout(resolve, 3500));
    await own.daemon.start();
    await eventually('it is started again', () =>
      Number(own.docker('inspect', '-f', '{{.RestartCount}}', 'again')) > 0 ? true : undefined,
    );
    await eventually('it is removed', () =>
      own.tryDocker('inspect', 'gone').exitCode === 1 ? true : undefined,
    );
    own.docker('rm', '-f', 'again');
  }, 600_000);

  test('what health checks have found is kept', async () => {
    own.docker(
      'run',
      '-d',
      '--name',
      'checked',
      '--health-cmd',
      'echo fine',
      '--health-interval',
      '300ms',
      'busybox',
      'sleep',
      '1000',
    );
    const health = (): string =>
      own.docker('inspect', '-f', '{{.State.Health.Status}} {{json .State.Health.Log}}', 'checked');
    await eventually('it is healthy', () => health().startsWith('healthy') || undefined);
    await own.daemon.kill9();
    await own.daemon.start();
    // as dockerd with live-restore; 20.10 has forgotten its probes then, ours go on
    expect(health()).toMatch(/^healthy .*"Output":"fine/);
    const last = health();
    await eventually('probes go on', () => health() !== last || undefined);
    own.docker('kill', 'checked');
    const before = health();
    expect(before).toContain('"Output":"fine\\n"');
    await own.daemon.kill9();
    await own.daemon.start();
    expect(health()).toBe(before);
    own.docker('rm', 'checked');
  }, 600_000);

  test('SIGTERM lets containers run on too', async () => {
    own.docker('run', '-d', '--name', 'steady', 'busybox', 'sleep', '1000');
    const startTime = (): string => own.docker('exec', 'steady', 'cut', '-d ', '-f22', '/proc/1/stat');
    const before = startTime();
    await own.daemon.process.stop();
    await own.daemon.start();
    expect(startTime()).toBe(before);
    own.docker('rm', '-f', 'steady');
  }, 600_000);
});

/** The text up to its last newline: the stream may have been cut within a line. */
function complete(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}
