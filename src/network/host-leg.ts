// The host's leg in the private namespace (`--host-routes`): with it the host reaches containers by their addresses, and has
// each network's gateway address itself, as with Docker's bridges. It is the one thing that is changed of the host's own network.
//
//   host: NAME 198.19.254.1/30 ── bridge ── 198.19.254.2/30 host0 :private namespace
//
// The bridge in the middle lies in a namespace that lives by a descriptor of the daemon's: however that ends, the kernel takes the
// namespace away, both its links, and with them the host's interface, its addresses and its routes.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

import { DaemonError, errorMessage } from '../errors';
import { helperEnvironment } from '../host/helper-environment';
import { runTool } from '../host/run-tool';
import { log } from '../log';
import { formatAddress, overlaps, parseSubnet } from './addresses/addresses';
import type { Subnet } from './addresses/addresses';
import { hostSubnets } from './host-routes';
import type { PrivateNamespace } from './namespace';
import type { NetworkRecord } from './network-record';

/** The leg's end in the private namespace; the rules name it. */
export const hostLegDevice = 'host0';
/** One of its networks of four addresses is taken: of the block for benchmarks (RFC 2544), as the egress's. */
export const hostLegPool = '198.19.254.0/24';
const namePattern = /^csn[0-9a-f]{8}$/;

/** Whether this interface of the host is the leg of an engine. */
export function isHostLeg(interfaceName: string): boolean {
  return namePattern.test(interfaceName);
}

export class HostLeg {
  readonly #name: string;
  readonly #address: string;
  readonly #via: string;
  /** Keeps the namespace in the middle. */
  #held: number | undefined;

  private constructor(name: string, { host, inside }: LegAddresses, held: number) {
    this.#name = name;
    this.#address = host;
    this.#via = inside;
    this.#held = held;
  }

  /** `runDir` tells the engines of a host apart. Throws what the kernel refuses; then nothing is left. */
  static async open(namespace: PrivateNamespace, runDir: string): Promise<HostLeg> {
    const name = `csn${createHash('sha256').update(runDir).digest('hex').slice(0, 8)}`;
    // what a dead daemon's kernel has not taken away yet
    await runTool('ip', ['link', 'del', 'dev', name]).catch(() => undefined);
    await namespace.run('ip', ['link', 'del', 'dev', hostLegDevice]).catch(() => undefined);
    const addresses = freeAddresses(hostSubnets());
    const held = await newNamespace();
    try {
      const middle = (...args: string[]): Promise<string> =>
        runTool('nsenter', [`--net=/proc/${process.pid}/fd/${held}`, '--', 'ip', ...args]);
      await middle('link', 'add', 'middle', 'type', 'bridge');
      await middle('link', 'set', 'middle', 'up');
      for (const [port, peer, where] of [
        ['outer', name, `/proc/${process.pid}/ns/net`],
        ['inner', hostLegDevice, namespace.path],
      ] as const) {
        await middle('link', 'add', port, 'type', 'veth', 'peer', 'name', peer, 'netns', where);
        await middle('link', 'set', port, 'master', 'middle', 'up');
      }
      const ends = [
        [(...args: string[]) => runTool('ip', args), name, addresses.host],
        [(...args: string[]) => namespace.run('ip', args), hostLegDevice, addresses.inside],
      ] as const;
      for (const [ip, device, address] of ends) {
        await ip('link', 'set', 'dev', device, 'addrgenmode', 'none').catch(() => undefined); // no IPv6
        await ip('addr', 'add', `${address}/30`, 'dev', device);
        await ip('link', 'set', 'dev', device, 'up');
      }
      // what comes by the leg has the address of its other end: a host that forwards lets nobody else in
      await namespace.run('sh', ['-ec', `echo 1 >/proc/sys/net/ipv4/conf/${hostLegDevice}/rp_filter`]);
    } catch (error) {
      closeSync(held);
      throw new DaemonError(
        'Unavailable',
        `the host's leg for --host-routes could not be made: ${errorMessage(error)}`,
        { cause: error },
      );
    }
    log.info('the host has routes to the containers', { interface: name });
    return new HostLeg(name, addresses, held);
  }

  /** A subnet that the host has a way to already is left to that one, with a warning. */
  async add(network: NetworkRecord): Promise<void> {
    for (const [subnet, gateway] of legRoutes(network)) {
      try {
        if (this.#isTaken(subnet)) throw new Error('the host has a route to some of it');
        const route = [subnet, 'via', this.#via, 'dev', this.#name, 'src', this.#address];
        await runTool('ip', ['route', 'add', ...route]);
        if (gateway !== undefined) await runTool('ip', ['addr', 'add', `${gateway}/32`, 'dev', this.#name]);
      } catch (error) {
        log.warn("a network's containers can't be reached from the host", {
          network: network.name,
          subnet,
          reason: errorMessage(error),
        });
      }
    }
  }

  async remove(network: NetworkRecord): Promise<void> {
    for (const [subnet, gateway] of legRoutes(network)) {
      const gone = [['route', 'del', subnet, 'dev', this.#name]];
      if (gateway !== undefined) gone.push(['addr', 'del', `${gateway}/32`, 'dev', this.#name]);
      for (const command of gone) {
        await runTool('ip', command).catch((error: unknown) =>
          log.debug('it was not there', { command: command.join(' '), error }),
        );
      }
    }
  }

  #isTaken(subnet: string): boolean {
    const wanted = parseSubnet(subnet);
    return wanted !== undefined && hostSubnets(this.#name).some((other) => overlaps(other, wanted));
  }

  /** The host is as before when it resolves. */
  async close(): Promise<void> {
    if (this.#held === undefined) return;
    await runTool('ip', ['link', 'del', 'dev', this.#name]).catch((error: unknown) =>
      log.warn("the host's leg was gone already", { interface: this.#name, error }),
    );
    closeSync(this.#held);
    this.#held = undefined;
  }
}

interface LegAddresses {
  host: string;
  inside: string;
}

/** IPv4 subnets with their gateway addresses. */
function legRoutes(network: NetworkRecord): [subnet: string, gateway: string | undefined][] {
  if (network.driver !== 'bridge') return [];
  return network.ipam
    .filter(({ subnet }) => !subnet.includes(':'))
    .map(({ subnet, gateway }) => [subnet, gateway?.split('/')[0]]);
}

function freeAddresses(taken: readonly Subnet[]): LegAddresses {
  const pool = parseSubnet(hostLegPool);
  for (let offset = 0n; pool !== undefined && offset < 256n; offset += 4n) {
    const subnet: Subnet = { family: 4, base: pool.base + offset, prefixLength: 30 };
    if (taken.some((other) => overlaps(other, subnet))) continue;
    const at = (number: bigint): string => formatAddress({ family: 4, value: subnet.base + number });
    return { host: at(1n), inside: at(2n) };
  }
  throw new DaemonError('Unavailable', `--host-routes: the host uses all of ${hostLegPool}`);
}

/** A descriptor of a network namespace with nothing in it, which nothing else keeps. */
async function newNamespace(): Promise<number> {
  const holder = spawn('unshare', ['--net', '--', 'sh', '-c', 'echo; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: helperEnvironment(),
  });
  const ended = once(holder, 'exit');
  ended.catch(() => undefined);
  try {
    await Promise.race([once(holder.stdout, 'data'), ended]);
    if (holder.exitCode !== null || holder.pid === undefined)
      throw new DaemonError('Unavailable', '--host-routes: no network namespace can be made');
    return openSync(`/proc/${holder.pid}/ns/net`, 'r');
  } finally {
    holder.stdin.end();
    await ended.catch(() => undefined);
  }
}
