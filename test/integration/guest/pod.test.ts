// The Pod's network, namespaces shared and not, and modules loaded when a container asks for them.

import type { GuestContainerSpec, GuestProcess } from '../../../src/vm/contract/protocol';
import { Guest } from '../../support/guests/guest-harness';
import { containerSpec, podSpec, processSpec, TestImages } from '../../support/guests/guest-specs';

jest.setTimeout(600_000); // what hangs is told earlier, by the VM's own time

const images = new TestImages(['name-server']);
let guest: Guest;
let layer: number;
let count = 0;

beforeAll(async () => {
  // QEMU's user network: the guest is 10.0.2.15 there, the gateway 10.0.2.2.
  guest = await Guest.start({ nics: 3 });
  await guest.identify();
  await guest.request('pod.setup', {
    pod: podSpec('pod', {
      interfaces: [
        {
          nic: 1,
          name: 'eth0',
          mac: '02:42:0a:00:02:0f',
          addresses: ['10.0.2.15/24', 'fd00::15/64'],
          mtu: 1400,
        },
      ],
      routes: [{ destination: '0.0.0.0/0', gateway: '10.0.2.2', interface: 'eth0' }],
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0', 'kernel.msgmax': '9999' },
      // Nobody answers at the first.
      dnsForward: ['127.0.0.4', '127.0.0.5'],
    }),
  });
  [layer] = (await guest.plug({ file: images.layer, readOnly: true })) as [number];
});

afterAll(async () => {
  await guest.end();
  images.remove();
});

const sh = (script: string): string[] => ['sh', '-c', script];

async function start(
  args: string[],
  changes: Partial<GuestProcess> = {},
  more: Partial<GuestContainerSpec> = {},
): Promise<{ id: string; stdout: number; stderr: number; pid: number }> {
  const [writable] = (await guest.plug({ file: images.writable('64M'), readOnly: false })) as [number];
  const id = `p${count++}`;
  const streams = { stdout: guest.channel(), stderr: guest.channel() };
  const spec = containerSpec(
    id,
    { layers: [layer], writable },
    processSpec(args, { ...streams, ...changes }),
    more,
  );
  const { pid } = await guest.request('container.start', { container: spec });
  return { id, pid, ...streams };
}

async function run(
  ...parameters: Parameters<typeof start>
): Promise<{ code: number; out: string; err: string }> {
  const { id, stdout, stderr } = await start(...parameters);
  const { status } = await guest.exit(id);
  await guest.request('container.remove', { id, sync: false });
  return { code: status.exitCode, out: guest.text(stdout), err: guest.text(stderr) };
}

async function kill(id: string): Promise<void> {
  await guest.request('container.signal', { id, signal: 9, all: false });
  await guest.exit(id);
  await guest.request('container.remove', { id, sync: false });
}

describe('interfaces', () => {
  test('name, addresses, MAC, MTU and routes; the other NICs are not in sight', async () => {
    const { out } = await run(
      sh(
        'ls /sys/class/net; ip -o addr show eth0; ip link show eth0; ip route; ping -c1 -W5 10.0.2.2 >/dev/null && echo reached',
      ),
    );
    expect(out).toMatch(/^eth0\nlo\n/);
    expect(out).toMatch(/inet 10\.0\.2\.15\/24 brd 10\.0\.2\.255/);
    expect(out).toMatch(/inet6 fd00::15\/64/);
    expect(out).toMatch(/mtu 1400/);
    expect(out).toMatch(/02:42:0a:00:02:0f/);
    expect(out).toMatch(/default via 10\.0\.2\.2 dev eth0/);
    expect(out).toMatch(/reached/);
  });

  test('sysctls of the Pod', async () => {
    const { out } = await run(
      sh(
        'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax; nc -l -p 80 -e true & sleep 0.1; echo $?',
      ),
      { user: 'bob' },
    );
    expect(out).toMatch(/^0\n9999\n/);
  });

  test('added to and taken from a running container', async () => {
    const sleep = await start(['sleep', '1000']);
    const look = async (): Promise<string> => {
      const [stdout, id] = [guest.channel(), `look${count++}`];
      await guest.request('exec.start', {
        id,
        containerId: sleep.id,
        process: processSpec(sh('ls /sys/class/net; ip -o -4 addr show eth1 2>/dev/null'), { stdout }),
      });
      await guest.exit(id);
      return guest.text(stdout);
    };
    const second = { nic: 2, name: 'eth1', mac: '02:42:0a:01:00:02', addresses: ['10.1.0.2/24'], mtu: 1500 };
    await guest.request('pod.interface.add', { interface: second, routes: [] });
    expect(await look()).toMatch(/eth0\neth1\nlo\n.*10\.1\.0\.2\/24/s);
    await guest.request('pod.interface.add', {
      interface: { ...second, addresses: ['10.1.0.3/24'] },
      routes: [],
    });
    expect(await look()).toMatch(/10\.1\.0\.3\/24/);
    expect(await look()).not.toMatch(/10\.1\.0\.2\/24/);
    const stats = await guest.request('container.stats', { id: sleep.id });
    expect(Object.keys(stats.networks).sort()).toEqual(['eth0', 'eth1']);
    await guest.request('pod.interface.remove', { nic: 2 });
    await guest.request('pod.interface.remove', { nic: 2 });
    expect(await look()).toBe('eth0\nlo\n');
    await guest.request('pod.interface.add', { interface: { ...second, name: 'other0' }, routes: [] });
    expect(await look()).toMatch(/^eth0\nlo\nother0\n/);
    await guest.request('pod.interface.remove', { nic: 2 });
    await expect(
      guest.request('pod.interface.add', { interface: { ...second, nic: 7 }, routes: [] }),
    ).rejects.toThrow('the VM has no NIC 7');
    await kill(sleep.id);
  });
});

test('the name server on 127.0.0.11 hands on queries, over UDP and TCP', async () => {
  // Port 53 is free for a container's own name server; and the first of the two servers answers over TCP only.
  const server = await start(['nc', '-l', '-p', '53', '-e', 'tr', 'a-z', 'A-Z']);
  await guest.request('exec.start', {
    id: 'tcp-ready',
    containerId: server.id,
    process: processSpec(sh('until netstat -lnt | grep -q ":53 "; do sleep 0.05; done')),
  });
  await guest.exit('tcp-ready');
  const echoed = await run(sh('echo through tcp | nc 127.0.0.11 53'));
  expect(echoed.out).toBe('THROUGH TCP\n');
  await guest.exit(server.id);
  await guest.request('container.remove', { id: server.id, sync: false });
  const udp = await start(['name-server', '127.0.0.5']);
  const { out } = await run(sh('sleep 0.3; nslookup -type=a web.test 127.0.0.11'));
  expect(out).toMatch(/Server:\s+127\.0\.0\.11\nAddress:\s+127\.0\.0\.11:53\n/);
  expect(out).toMatch(/Address: 10\.9\.8\.7/);
  await kill(udp.id);
});

test("name servers are exchanged, whoever has copies of the agent's sockets", async () => {
  // the first process of a shared PID namespace is a clone of the agent that never becomes another program
  const other = await start(['name-server', '127.0.0.9'], {}, { pidNamespace: 'pod' });
  const lookUp = async (): Promise<string> =>
    (await run(sh('sleep 0.3; nslookup -type=a web.test 127.0.0.11 2>&1'))).out;
  await guest.request('pod.dns', { servers: ['127.0.0.9'] });
  expect(await lookUp()).toContain('10.9.8.7');
  await guest.request('pod.dns', { servers: [] });
  expect(await lookUp()).not.toContain('10.9.8.7');
  await guest.request('pod.dns', { servers: ['127.0.0.4', '127.0.0.9'] });
  expect(await lookUp()).toContain('10.9.8.7');
  await kill(other.id);
});

describe('namespaces', () => {
  test('of the VM', async () => {
    const vm = {
      pidNamespace: 'vm',
      networkNamespace: 'vm',
      utsNamespace: 'vm',
      ipcNamespace: 'vm',
      cgroupNamespace: 'vm',
    } as const;
    const { out } = await run(
      sh('cat /proc/1/comm; ls /sys/class/net | grep -c nic; cat /proc/self/cgroup'),
      {},
      vm,
    );
    expect(out).toMatch(/^init\n2\n0::\/docker\/p\d+\n$/);
  });

  test('a PID namespace shared by the Pod', async () => {
    const first = await start(['sleep', '1000'], {}, { pidNamespace: 'pod' });
    const { out } = await run(
      sh('cat /proc/1/comm; ps | grep -c "[s]leep 1000"'),
      {},
      { pidNamespace: 'pod' },
    );
    expect(out).toBe('pause\n1\n');
    await kill(first.id);
  });

  test('an IPC namespace shared by the Pod, or not', async () => {
    const shm =
      'ls /proc/sys/fs/mqueue >/dev/null; readlink /proc/self/ns/ipc; readlink /proc/self/ns/net; readlink /proc/self/ns/uts';
    const [pod, again, own] = [
      await run(sh(shm)),
      await run(sh(shm)),
      await run(sh(shm), {}, { ipcNamespace: 'container' }),
    ].map(({ out }) => out.split('\n'));
    expect(pod).toEqual(again);
    expect(own![0]).not.toBe(pod![0]);
    expect(own!.slice(1)).toEqual(pod!.slice(1));
  });

  test('what a container leaves running in a shared namespace dies with it', async () => {
    const vm = await start(sh('sleep 7777 & sleep 0.1'), {}, { pidNamespace: 'vm' });
    await guest.exit(vm.id);
    await guest.request('container.remove', { id: vm.id, sync: true });
    const { out } = await run(sh('ps | grep -c "[s]leep 7777"'), {}, { pidNamespace: 'vm' });
    expect(out).toBe('0\n');
  });
});

test('a module is loaded when a container makes something that needs it', async () => {
  const changes = { capabilities: ['CAP_NET_ADMIN'] };
  const { out, err } = await run(
    sh('ip link add dum0 type dummy && ip link add br7 type bridge && ls /sys/class/net'),
    changes,
  );
  expect(err).toBe('');
  expect(out).toMatch(/br7\ndum0\n/);
});

test('clones differ: identity sets clock, machine id and random state', async () => {
  const { out } = await run(['date', '+%s']);
  expect(Math.abs(Number(out) - Date.now() / 1000)).toBeLessThan(5);
});
