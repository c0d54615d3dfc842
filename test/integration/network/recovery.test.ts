// Crashes, what they leave, and that the host's own network is never touched.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { networkState } from '../../support/network/host-state';
import { containerIdOf, inNamespace, NetworkLab } from './network-lab';

jest.setTimeout(60_000);

let lab: NetworkLab;

beforeEach(async () => {
  lab = await NetworkLab.open({ start: false });
});

afterEach(() => lab.close());

function hostState(): string {
  return networkState((...command) => lab.host.run(...command));
}

function bridges(): string[] {
  return inNamespace(lab.namespacePath, 'ip', '-br', 'link', 'show', 'type', 'bridge')
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/)[0]!)
    .sort();
}

function processesOfNamespace(): number[] {
  const wanted = execFileSync('stat', ['-L', '-c', '%i', lab.namespacePath], { encoding: 'utf8' }).trim();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return (
          execFileSync('stat', ['-L', '-c', '%i', `/proc/${pid}/ns/net`], {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'ignore'],
          }).trim() === wanted
        );
      } catch {
        return false; // it ended
      }
    });
}

it("leaves the host's mounts alone, also those below a shared one", async () => {
  const shared = join(lab.runDir, 'shared');
  const inner = join(shared, 'inner');
  const mount = (...args: string[]): void => void execFileSync('mount', args);
  mkdirSync(shared);
  mount('-t', 'tmpfs', 'tmpfs', shared);
  try {
    mount('--make-shared', shared);
    mkdirSync(inner);
    mount('-t', 'tmpfs', 'tmpfs', inner);
    writeFileSync(join(inner, 'file'), '');
    await lab.manager.start();
    expect(readdirSync(inner)).toEqual(['file']);
  } finally {
    execFileSync('umount', ['-R', shared]);
  }
});

it("changes nothing of the host's network, while running, after a crash and after the end", async () => {
  const before = hostState();
  await lab.manager.start();
  await lab.manager.create({
    name: 'app',
    enableIpv6: true,
    ipam: { config: [{ subnet: '10.9.0.0/24' }, { subnet: 'fd99::/64' }] },
  });
  const { endpoint } = await lab.join('app', '1n0');
  await lab.manager.publish(endpoint.containerId, endpoint, [
    { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 },
  ]);
  expect(hostState()).toBe(before);
  await lab.process.kill();
  expect(hostState()).toBe(before);
  await lab.restart();
  expect(hostState()).toBe(before);
  await lab.manager.stop({ removeNamespace: true });
  expect(hostState()).toBe(before);
  await lab.manager.start();
});

it('keeps networks, addresses and joined taps through a crash', async () => {
  await lab.manager.start();
  const { id } = await lab.manager.create({ name: 'app' });
  const one = await lab.join('app', '1n0');
  const two = await lab.join('app', '2n0');
  await lab.process.kill();
  expect(await one.guest.canPing(two.endpoint.ipv4Address)).toBe(true);
  await lab.world.serve(7000, 'from outside');
  expect(await one.guest.fetch('192.0.2.1', 7000)).toBe('from outside');
  await lab.restart();
  expect(await one.guest.canPing(two.endpoint.ipv4Address)).toBe(true);
  expect(await lab.manager.endpoints(id, { attached: true })).toHaveLength(2);
  const again = await lab.manager.allocate({
    networkId: id,
    containerId: containerIdOf('1n0'),
    containerName: '1n0',
    aliases: [],
  });
  expect(again.ipv4Address).toBe(one.endpoint.ipv4Address);
  const { endpoint } = await lab.join('app', '3n0');
  expect([one.endpoint.ipv4Address, two.endpoint.ipv4Address]).not.toContain(endpoint.ipv4Address);
});

it('makes the namespace agree with its records', async () => {
  await lab.manager.start();
  await lab.manager.create({ name: 'app' });
  const { guest } = await lab.join('app', '1n0');
  const made = bridges();
  await lab.process.kill();
  // a half-made network, a half-removed one, a tap that nobody knows, rules that somebody deleted
  inNamespace(lab.namespacePath, 'ip', 'link', 'add', 'br-000000000000', 'type', 'bridge');
  inNamespace(
    lab.namespacePath,
    'ip',
    'link',
    'add',
    'cv9n0',
    'master',
    'docker0',
    'type',
    'veth',
    'peer',
    'name',
    'cv9n1',
  );
  inNamespace(lab.namespacePath, 'ip', 'link', 'del', 'docker0');
  inNamespace(lab.namespacePath, 'nft', 'flush', 'ruleset');
  await lab.restart();
  expect(bridges()).toEqual(made);
  expect(inNamespace(lab.namespacePath, 'ip', 'link', 'show', 'cv9n0')).not.toContain('master');
  expect(inNamespace(lab.namespacePath, 'nft', 'list', 'tables')).toBe(
    'table bridge caisson\ntable inet caisson\n',
  );
  expect(await guest.canPing((await lab.manager.endpointsOf(containerIdOf('1n0')))[0]!.ipv4Gateway)).toBe(
    true,
  );
});

it('forgets taps and ports of VMs that went with the daemon', async () => {
  await lab.manager.start();
  const { guest, endpoint } = await lab.join('bridge', '1n0');
  await lab.manager.publish(endpoint.containerId, endpoint, [
    { protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8080 },
  ]);
  await lab.process.kill();
  guest.run('ip', 'link', 'del', 'eth0');
  await lab.restart();
  expect(await lab.manager.endpoints(endpoint.networkId, { attached: true })).toEqual([]);
  expect(await lab.manager.publishedPorts(endpoint.containerId)).toEqual([]);
  expect(await lab.host.fetch('127.0.0.1', 8080)).toMatch(/refused/);
});

it('starts slirp4netns again when it dies', async () => {
  await lab.manager.start();
  const { guest } = await lab.join('bridge', '1n0');
  await lab.world.serve(7000, 'from outside');
  process.kill(lab.childOfNetdHost('slirp4netns'), 'SIGKILL');
  let got = '';
  for (let tried = 0; tried < 20 && got !== 'from outside'; tried++)
    got = await guest.fetch('192.0.2.1', 7000);
  expect(got).toBe('from outside');
});

it('leaves no process, mount or device', async () => {
  await lab.manager.start();
  const { guest } = await lab.join('bridge', '1n0');
  guest.run('ip', 'link', 'del', 'eth0');
  expect(processesOfNamespace().length).toBeGreaterThan(0);
  const pid = lab.netdHostPid();
  await lab.manager.stop({ removeNamespace: true });
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(existsSync(lab.namespacePath)).toBe(false);
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(join(lab.runDir, 'netns'));
  await lab.manager.start();
});

it('comes up after a reboot, which takes the namespace but not the records', async () => {
  await lab.manager.start();
  const { id } = await lab.manager.create({ name: 'app' });
  const { guest } = await lab.join('app', '1n0');
  guest.run('ip', 'link', 'del', 'eth0');
  process.kill(lab.netdHostPid(), 'SIGKILL');
  await lab.process.kill();
  execFileSync('umount', [lab.namespacePath]);
  await lab.restart();
  expect(bridges()).toEqual([`br-${id.slice(0, 12)}`, 'docker0']);
  expect(await lab.manager.endpoints(id, { attached: true })).toEqual([]);
  expect(await lab.manager.endpoints(id)).toHaveLength(1);
});
