import { hostPorts, HostNetworks } from '../../../../src/engine/networks/host-network';
import type { AttachedEndpoint, RunningPod } from '../../../../src/engine/vms/running-pod';
import type { HostPart, NetworkManager, PublishedPort, RefusedPort } from '../../../../src/network/network';
import type { GuestListener } from '../../../../src/vm/contract/protocol';

const host: HostPart = { interfaceName: 'uplink', address: '192.0.2.2', loopback: '198.19.255.2' };

const tcp = (address: string, port: number, relay = 0): GuestListener => ({
  protocol: 'tcp',
  address,
  port,
  relay,
});
const udp = (address: string, port: number): GuestListener => ({ protocol: 'udp', address, port, relay: 0 });

const shown = ({ protocol, hostIp, hostPort, containerPort }: PublishedPort): string =>
  `${protocol} ${hostIp}:${hostPort} to ${containerPort}`;

test.each<[string, GuestListener[], string[]]>([
  [
    'all addresses',
    [tcp('0.0.0.0', 80), udp('0.0.0.0', 53)],
    ['tcp 0.0.0.0:80 to 80', 'udp 0.0.0.0:53 to 53'],
  ],
  ['both families', [tcp('::', 80)], ['tcp 0.0.0.0:80 to 80', 'tcp :::80 to 80']],
  [
    'both families, each by a socket',
    [tcp('0.0.0.0', 80), tcp('::', 80)],
    ['tcp 0.0.0.0:80 to 80', 'tcp :::80 to 80'],
  ],
  ['its own address', [tcp('172.17.0.5', 80)], ['tcp 192.0.2.2:80 to 80']],
  [
    'the loopback',
    [tcp('127.0.0.1', 80, 40000), tcp('::1', 81, 40001)],
    ['tcp 127.0.0.1:80 to 40000', 'tcp ::1:81 to 40001'],
  ],
  ['the loopback, unreached', [tcp('127.0.0.1', 80), udp('127.0.0.1', 53)], []],
  ['the name server of the agent', [tcp('127.0.0.11', 56353, 40000)], []],
  ['addresses that are nobody’s here', [tcp('fe80::1', 80), tcp('203.0.113.1', 80)], []],
])('where the host listens for %s', (_, listeners, ports) => {
  expect(hostPorts(listeners, '172.17.0.5', host).map(shown)).toEqual(ports);
});

/** A guest that listens as it is told, and a host that opens what it may. */
class Lab {
  readonly open: PublishedPort[] = [];
  readonly calls: number[] = [];
  refused: RefusedPort[] = [];
  asked: { after: number; waitMs: number }[] = [];
  #answer: ((list: object) => void) | undefined;
  #followed: (() => void) | undefined;

  readonly networks = {
    publishedPorts: () => [...this.open],
    follow: (_id: string, _endpoint: unknown, ports: PublishedPort[]) => {
      const refusedNow = this.refused.filter(({ port }) => ports.some((one) => shown(one) === shown(port)));
      const taken = new Set(refusedNow.map(({ port }) => shown(port)));
      this.open.splice(0, Infinity, ...ports.filter((port) => !taken.has(shown(port))));
      this.calls.push(ports.length);
      this.#followed?.();
      return Promise.resolve(refusedNow);
    },
  } as unknown as NetworkManager;

  readonly pod = {
    vm: {
      agent: {
        request: (
          _op: string,
          params: { after: number; waitMs: number },
          { signal }: { signal: AbortSignal },
        ) => {
          this.asked.push(params);
          return new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('given up')));
            this.#answer = resolve;
          });
        },
      },
    },
  } as unknown as RunningPod;

  readonly attached = [
    { networkName: 'host', nic: 0, endpoint: { ipv4Address: '172.17.0.5', ipv4Gateway: '172.17.0.1', host } },
  ] as unknown as AttachedEndpoint[];

  /** The guest answers; resolves when the host has done something about it. */
  async says(generation: number, listeners: GuestListener[], left = 0): Promise<void> {
    await this.until(() => this.#answer !== undefined);
    const followed = new Promise<void>((resolve) => (this.#followed = resolve));
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.({ generation, listeners, left });
    await followed;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('the host follows, tries again what was refused, and stops when it is told to', async () => {
  const lab = new Lab();
  const hostNetworks = new HostNetworks({ networks: lab.networks });
  hostNetworks.follow('c', lab.pod, lab.attached);
  const [port] = hostPorts([tcp('0.0.0.0', 81)], '172.17.0.5', host);
  lab.refused = [{ port: port!, reason: 'address already in use' }];
  await lab.says(1, [tcp('0.0.0.0', 80), tcp('0.0.0.0', 81)]);
  expect(lab.open.map(shown)).toEqual(['tcp 0.0.0.0:80 to 80']);
  lab.refused = [];
  // the same list: it is asked again soon because of the one that is missing
  await lab.says(1, []);
  expect(lab.open.map(shown)).toEqual(['tcp 0.0.0.0:80 to 80', 'tcp 0.0.0.0:81 to 81']);
  await lab.says(2, [tcp('0.0.0.0', 81)]);
  expect(lab.open.map(shown)).toEqual(['tcp 0.0.0.0:81 to 81']);
  await lab.until(() => lab.asked.length === 4);
  expect(lab.asked.map(({ after, waitMs }) => [after, waitMs])).toEqual([
    [0, 60_000],
    [1, 5_000],
    [1, 60_000],
    [2, 60_000],
  ]);
  await hostNetworks.stop('c');
  expect(lab.open).toHaveLength(1);
  await hostNetworks.stopAll();
});

test('many at once are opened some at a time', async () => {
  const lab = new Lab();
  const hostNetworks = new HostNetworks({ networks: lab.networks });
  hostNetworks.follow('c', lab.pod, lab.attached);
  await lab.says(
    1,
    Array.from({ length: 100 }, (_, index) => tcp('0.0.0.0', 1000 + index)),
    5,
  );
  await lab.until(() => lab.open.length === 100);
  expect(lab.calls).toEqual([32, 64, 96, 100]);
  await hostNetworks.stop('c');
});

test('who has no part in the host’s network is not followed', async () => {
  const lab = new Lab();
  const hostNetworks = new HostNetworks({ networks: lab.networks });
  hostNetworks.follow('c', lab.pod, []);
  await hostNetworks.stop('c');
  expect(lab.asked).toEqual([]);
});
