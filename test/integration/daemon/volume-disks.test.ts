// Volumes that are disks of the VM which has them: file systems can be laid on them, and they outlive their containers.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

jest.setTimeout(600_000);

const engine = useBusyboxDaemon('volume-disks');
const { docker, refusal } = engine;
const script = (...commands: string[]): string[] => ['busybox', 'sh', '-c', commands.join(' && ')];
const disks = (): string[] =>
  readdirSync(join(engine.daemon.dir, 'data', 'volume-disks')).filter((name) => name.endsWith('.ext4'));

test('one by its label is filled from the image, keeps what was written, and one VM at a time has it', async () => {
  docker(
    'run',
    '--name',
    'maker',
    ...script('mkdir -m 750 /data', 'chown 12:34 /data', 'echo first >/data/f'),
  );
  docker('commit', 'maker', 'with-data');
  docker('rm', 'maker');
  docker('volume', 'create', '--label', 'caisson.volume=disk', 'data');
  const again = ['run', '--rm', '-v', 'data:/data', 'with-data', 'sh', '-c'];
  const told = docker(
    ...again,
    'stat -c "%a %u:%g" /data; cat /data/f; echo more >/data/g; df /data | grep -c /dev/',
  );
  expect(told.split('\n')).toEqual(['750 12:34', 'first', '1']);
  // what was removed stays removed
  expect(docker(...again, 'rm /data/f; ls /data')).toBe('g');
  docker('run', '-d', '--name', 'has-it', '-v', 'data:/data', ...script('ls /data', 'sleep 1000'));
  expect(refusal('run', '--rm', '-v', 'data:/other:ro', ...script('ls /other'))).toContain(
    'a volume of the container is a disk, which one virtual machine has at a time',
  );
  // containers of one VM have it together
  const beside = ['run', '--rm', '--network', 'container:has-it', '-v', 'data:/other:ro'];
  expect(docker(...beside, ...script('cat /other/g', '! touch /other/x 2>/dev/null'))).toBe('more');
  await engine.daemon.kill9();
  await engine.daemon.start();
  expect(docker('exec', 'has-it', 'cat', '/data/g')).toBe('more');
  docker('kill', 'has-it');
  expect(docker('cp', 'has-it:/data/g', '-')).toContain('more');
  docker('rm', 'has-it');
  expect(docker('system', 'df', '-v')).toMatch(/^data +0 +5B/m);
  docker('volume', 'rm', 'data');
  expect(disks()).toEqual([]);
});

test('the state of a builder is one: layers can be laid upon each other there', () => {
  const state = ['--privileged', '-v', 'state:/var/lib/buildkit'];
  const overlay = [
    'cd /var/lib/buildkit',
    'mkdir lower upper work merged',
    'echo below >lower/f',
    'mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged',
    'echo above >>merged/f',
    'cat merged/f',
  ];
  docker('create', '--name', 'builder', ...state, ...script(...overlay));
  expect(docker('start', '-a', 'builder')).toBe('below\nabove');
  docker('rm', 'builder');
  expect(docker('run', '--rm', ...state, ...script('cat /var/lib/buildkit/upper/f'))).toBe('below\nabove');
  docker('volume', 'rm', 'state');
  // of others it is a directory
  docker('run', '--rm', '-v', 'plain:/var/lib/buildkit', ...script('true'));
  docker('run', '--rm', '--privileged', '-v', 'plain:/other', ...script('true'));
  expect(disks()).toEqual([]);
  docker('volume', 'rm', 'plain');
});
