// The host under a whole daemon with VMs: nothing of it is changed, whatever becomes of the daemon.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { type GuardedProcess, startGuarded, waitReady } from '../../support/process/guarded-process';
import { networkState } from '../../support/network/host-state';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { makeBusyboxArchive } from '../../support/images/test-images';

jest.setTimeout(180_000);

// A host of our own, which others who use this machine do not change: a network with an address and a rule to be kept, and
// mounts that are shared as systemd has them, so that what one process mounts or unmounts is seen by the others.
const makeHost = `
mount --make-rprivate /
# those of other tests, which end when their files are removed
awk '$2 ~ "^/(tmp|run)/" {print $2}' /proc/mounts | sort -r | while read -r target; do umount -l "$target"; done
mount --make-rshared /
mount -t tmpfs tmpfs /run && mkdir /run/netns && touch /run/netns/kept && mount -t tmpfs tmpfs /dev/shm
ip link set lo up && ip link add uplink type dummy && ip link set uplink addrgenmode none up
ip addr add 192.0.2.2/24 dev uplink && ip route add default via 192.0.2.1
nft add table inet kept && nft add chain inet kept input '{ type filter hook input priority 0; }'
mount --bind /proc/self/ns/net /run/netns/kept
echo ready; exec sleep infinity`;

let dir: string;
let host: GuardedProcess;
let daemon: CaissonDaemon;

function wrap(command: readonly string[]): string[] {
  return ['nsenter', '--target', String(host.pid), '--net', '--mount', '--', ...command];
}

function onHost(...command: string[]): string {
  const [program = '', ...args] = wrap(command);
  return execFileSync(program, args, { encoding: 'utf8' });
}

function docker(...args: string[]): string {
  return execFileSync('docker', ['-H', daemon.host, ...args], { encoding: 'utf8', stdio: 'pipe' });
}

beforeAll(async () => {
  dir = makeScratchDir('host');
  const logPath = join(dir, 'host.log');
  host = await startGuarded(['unshare', '--net', '--mount', 'sh', '-ec', makeHost], { logPath });
  await waitReady(host, () => Promise.resolve(readFileSync(logPath, 'utf8').includes('ready')));
});

afterAll(async () => {
  await daemon.stop();
  await host.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The private network namespace of the daemon is a mount, the one of its own that the host sees. */
function hostState(): string {
  const mounts = onHost('cat', '/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.replace(/^\d+ \d+ /, ''))
    .filter((line) => !line.includes(` ${dir}/run/netns `));
  const files = onHost('sh', '-c', 'cat /etc/resolv.conf /etc/hosts; find /run /dev/shm | sort');
  return [networkState(onHost), ...mounts, files].join('\n');
}

/** Through the published port, once the server listens. */
function fetched(): string {
  const retry = ['--retry', '30', '--retry-delay', '1', '--retry-all-errors'];
  return onHost('curl', '-s', ...retry, 'http://127.0.0.1:8080/hostname');
}

/** Processes of the daemon, with itself: they have its directory in their command line. */
function processes(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(`${dir}/`);
    } catch {
      return false; // it ended
    }
  });
}

it('is as before while containers run, after kill -9, after the next start and after the end', async () => {
  const before = hostState();
  daemon = await CaissonDaemon.start({
    dir,
    namespace: { wrap },
    args: ['--accel', 'tcg', '--pool-size', '0'],
  });
  docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'busybox:1'));
  docker('network', 'create', '--ipv6', '--subnet', 'fd00:77::/64', 'app');
  docker('volume', 'create', 'data');
  const limits = [
    '--memory',
    '64m',
    '--cpus',
    '0.5',
    '--pids-limit',
    '50',
    '--sysctl',
    'net.ipv4.ip_forward=1',
  ];
  const shared = [
    '--network',
    'app',
    '-p',
    '8080:80',
    '-p',
    '5300:53/udp',
    '-v',
    'data:/data',
    '-v',
    `${dir}:/dir`,
  ];
  docker('run', '-d', '--name', 'web', ...limits, ...shared, 'busybox:1', 'httpd', '-f', '-h', '/etc');
  docker('network', 'connect', 'bridge', 'web');
  expect(fetched()).toHaveLength(13);
  expect(hostState()).toBe(before);
  // no cgroup of its own either
  const cgroups = readFileSync('/proc/self/cgroup', 'utf8');
  const [vm = ''] = daemon.qemuPids();
  expect(readFileSync(`/proc/${vm}/cgroup`, 'utf8')).toBe(cgroups);

  await daemon.kill9();
  expect(hostState()).toBe(before);
  await daemon.start();
  expect(fetched()).toHaveLength(13);
  expect(hostState()).toBe(before);

  docker('rm', '-f', 'web');
  docker('network', 'rm', 'app');
  await daemon.process.stop();
  expect(hostState()).toBe(before);
  expect(onHost('cat', '/proc/self/mounts')).not.toContain(`${dir}/`);
  expect(processes()).toEqual([]);
  await daemon.start();
});
