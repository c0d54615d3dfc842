// Containers that attack: whatever they do to their own VM, the daemon and the neighbours live.

import { readFileSync } from 'node:fs';

import { pings } from '../../support/wire/http-client';
import { describeWithOwnDaemon, eventually, type OwnDaemon } from '../harness/own-daemon';

async function expectAllWell(own: OwnDaemon): Promise<void> {
  expect(await pings(own.daemon.host)).toBe(true);
  expect(own.docker('exec', 'neighbour', 'echo', 'alive')).toBe('alive\n');
  expect(own.docker('run', '--rm', 'busybox', 'echo', 'new ones start')).toBe('new ones start\n');
}

describeWithOwnDaemon('hostile containers', { images: ['busybox'] }, (own) => {
  beforeAll(() => {
    own.docker('run', '-d', '--name', 'neighbour', 'busybox', 'sleep', '100000');
  }, 600_000);

  test('its kernel is another than the host’s', () => {
    const kernel = own.docker('run', '--rm', 'busybox', 'uname', '-r').trim();
    expect(kernel).not.toBe(readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim());
    expect(own.docker('run', '--rm', 'busybox', 'cat', '/proc/1/comm')).toBe('cat\n');
  }, 600_000);

  test('a fork bomb', async () => {
    own.docker(
      'run',
      '-d',
      '--name',
      'bomb',
      'busybox',
      'sh',
      '-c',
      'bomb() { bomb | bomb & }; bomb; sleep 1000',
    );
    await new Promise((resolve) => setTimeout(resolve, 8000));
    await expectAllWell(own);
    own.docker('rm', '-f', 'bomb');
    await expectAllWell(own);
  }, 600_000);

  test('a memory hog', async () => {
    const { exitCode } = own.tryDocker(
      'run',
      '--name',
      'hog',
      '--memory',
      '200m',
      'busybox',
      'tail',
      '/dev/zero',
    );
    expect(exitCode).toBe(137);
    expect(own.docker('inspect', '-f', '{{.State.OOMKilled}}', 'hog').trim()).toBe('true');
    await expectAllWell(own);
    own.docker('rm', '-f', 'hog');
  }, 600_000);

  test.each([
    ['c', 'panics'],
    ['b', 'reboots'],
    ['o', 'powers off'],
  ])(
    '--privileged writes %s to sysrq-trigger: its VM %s',
    async (key) => {
      const name = `sysrq-${key}`;
      const attack = `echo ${key} >/proc/sysrq-trigger; sleep 1000`;
      own.docker('run', '-d', '--privileged', '--name', name, 'busybox', 'sh', '-c', attack);
      await eventually('its container is found dead', () =>
        own.docker('inspect', '-f', '{{.State.Running}}', name).trim() === 'false' ? true : undefined,
      );
      await expectAllWell(own);
      own.docker('rm', '-f', name);
    },
    600_000,
  );

  test('a flood of output does not delay an exit', async () => {
    own.docker('run', '-d', '--name', 'flood', '--log-driver', 'none', 'busybox', 'yes');
    const started = Date.now();
    await expectAllWell(own);
    expect(Date.now() - started).toBeLessThan(60_000);
    own.docker('rm', '-f', 'flood');
  }, 600_000);

  test('all of the above have left nothing running', async () => {
    own.docker('rm', '-f', 'neighbour');
    const left = (): string => `${own.docker('ps', '-aq').trim()} ${own.daemon.qemuPids().length} VMs`;
    await eventually(
      () => `only idle VMs are left, but ${left()}`,
      () => (own.docker('ps', '-aq').trim() === '' && own.daemon.qemuPids().length <= 8 ? true : undefined),
    );
  }, 600_000);
});
