// A container whose VM waits for room on the host's disk outlives the daemon's death, and goes on when there is room.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { NetworkNamespace } from '../../support/network/network-namespace';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { makeBusyboxArchive } from '../../support/images/test-images';

jest.setTimeout(180_000);

let dir: string;
let disks: string;
let namespace: NetworkNamespace;
let daemon: CaissonDaemon;

function docker(...args: string[]): string {
  return execFileSync('docker', ['-H', daemon.host, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
}

beforeAll(async () => {
  dir = makeScratchDir('full');
  disks = join(dir, 'data', 'disks');
  mkdirSync(disks, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disks]);
  namespace = await NetworkNamespace.create();
  const args = ['--accel', 'tcg', '--pool-size', '0'];
  daemon = await CaissonDaemon.start({ dir, namespace, args });
  docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'busybox:1'));
});

afterAll(async () => {
  await daemon.stop();
  await namespace.delete();
  rmSync(dir, { recursive: true, force: true });
});

/** What QEMU's monitor says of the one VM's state, while no daemon has that connection. */
function vmState(): Promise<string> {
  const vms = join(dir, 'run', 'vms');
  const [id = ''] = readdirSync(vms);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(join(vms, id, 'qmp.sock'));
    socket.on('error', reject);
    socket.write('{"execute":"qmp_capabilities"}{"execute":"query-status"}\n');
    socket.setEncoding('utf8').on('data', (data: string) => {
      text += data;
      const state = /"status": "([\w-]+)"/.exec(text)?.[1];
      if (state === undefined) return;
      socket.destroy();
      resolve(state);
    });
  });
}

it('is adopted, and finishes its work', async () => {
  const work = 'dd if=/dev/urandom of=/file bs=1M count=100 conv=fsync 2>/dev/null && wc -c </file';
  docker('run', '--detach', '--name', 'writer', 'busybox:1', 'sh', '-c', work);
  const full = 'the host has no room';
  const log = (): string => execFileSync('cat', [daemon.process.logPath], { encoding: 'utf8' });
  while (!log().includes(full)) await new Promise((resolve) => setTimeout(resolve, 100));
  await daemon.kill9();
  expect(await vmState()).toBe('io-error');
  await daemon.start();
  expect(docker('inspect', '-f', '{{.State.Status}} {{.RestartCount}}', 'writer')).toBe('running 0');
  execFileSync('mount', ['-o', 'remount,size=512m', disks]);
  expect(docker('wait', 'writer')).toBe('0');
  expect(docker('logs', 'writer')).toBe(String(100 * 2 ** 20));
});
