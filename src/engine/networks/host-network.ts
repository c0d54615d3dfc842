// Containers on the host's network: what they listen on is listened on on the host as well, for as long as they do.

import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { HostPart, PublishedPort, RefusedPort } from '../../network/network';
import type { GuestListener } from '../../vm/contract/protocol';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import type { NetworkLayer } from './container-network';
import { PortComplaints } from './port-complaints';

/** How long the guest may keep an answer back when nothing changes. */
const quietMs = 60_000;
/** How often ports that somebody else has are tried again. */
const retryMs = 5_000;
/** What a slow guest may take besides. No answer is no failure: it is asked again. */
const answerMs = 120_000;
/** After a guest that does not answer, or a helper that does not run. */
const pauseMs = 1_000;
/** Ports that are opened and closed in a row, and the pause behind them: a guest must not keep the network helper busy. */
const changesAtOnce = 32;
const changesPauseMs = 250;

interface Following {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

export class HostNetworks {
  readonly #networks: NetworkLayer['networks'];
  readonly #following = new Map<string, Following>();

  constructor({ networks }: NetworkLayer) {
    this.#networks = networks;
  }

  /** From now on until `stop`. Does nothing for a container without part in the host's network. */
  follow(containerId: string, pod: RunningPod, attached: readonly AttachedEndpoint[]): void {
    const found = attached.find(({ endpoint }) => endpoint.host !== undefined);
    const host = found?.endpoint.host;
    if (found === undefined || host === undefined) return;
    void this.stop(containerId);
    const stop = new AbortController();
    const follower = new Follower(this.#networks, { containerId, pod, endpoint: found.endpoint, host });
    this.#following.set(containerId, { stop, done: follower.run(stop.signal) });
  }

  /** Its ports are touched no more when this resolves; they are still open. Never rejects. */
  async stop(containerId: string): Promise<void> {
    const following = this.#following.get(containerId);
    this.#following.delete(containerId);
    following?.stop.abort();
    await following?.done;
  }

  /** At the daemon's end: containers go on, and so do their ports. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#following.keys()].map((id) => this.stop(id)));
  }
}

/** Whose, and where. */
interface Followed {
  containerId: string;
  pod: RunningPod;
  endpoint: AttachedEndpoint['endpoint'];
  host: HostPart;
}

class Follower {
  readonly #networks: NetworkLayer['networks'];
  readonly #followed: Followed;
  /** The list that the host has. */
  #generation = 0;
  #ports: PublishedPort[] = [];
  #refused: RefusedPort[] = [];
  readonly #complaints: PortComplaints;

  constructor(networks: NetworkLayer['networks'], followed: Followed) {
    this.#networks = networks;
    this.#followed = followed;
    this.#complaints = new PortComplaints(followed.containerId);
  }

  /** Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#ask(signal);
        await this.#open(signal);
      } catch (error) {
        if (isOver(signal)) return;
        log.debug("a container's listeners were not told", {
          containerId: this.#followed.containerId,
          error: errorMessage(error),
        });
        await pause(pauseMs, signal);
      }
    }
  }

  /** Waits for another list, or until those that were refused are due. */
  async #ask(signal: AbortSignal): Promise<void> {
    const { containerId, pod, endpoint, host } = this.#followed;
    const waitMs = this.#refused.length > 0 ? retryMs : quietMs;
    const params = { after: this.#generation, waitMs, peer: endpoint.ipv4Gateway };
    const { generation, listeners, left } = await pod.vm.agent.request('pod.listeners', params, {
      timeoutMs: waitMs + answerMs,
      signal,
    });
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#ports = hostPorts(listeners, endpoint.ipv4Address, host).filter(isOfHost);
    const unreachable = listeners.filter((listener) => isUnreachable(listener));
    for (const { protocol, address, port } of unreachable)
      this.#complaints.tell(
        `${protocol} ${address} ${port}`,
        'what listens there is reached inside the container alone',
      );
    if (left > 0)
      this.#complaints.tell(
        'more',
        `only the first ${listeners.length} sockets of the container are open on the host`,
      );
    log.debug('container listens', { containerId, ports: this.#ports.length });
  }

  /** Some at a time, until the host has the whole list. */
  async #open(signal: AbortSignal): Promise<void> {
    const { containerId, endpoint } = this.#followed;
    const wanted = new Map(this.#ports.map((port) => [keyOf(port), port]));
    const before = this.#networks.publishedPorts(containerId);
    const kept = before.filter((port) => wanted.has(keyOf(port)));
    const open = new Set(before.map(keyOf));
    const missing = [...wanted.values()].filter((port) => !open.has(keyOf(port)));
    const refused: RefusedPort[] = [];
    let ports = kept;
    do {
      ports = [...ports, ...missing.splice(0, changesAtOnce)];
      const failed = await this.#networks.follow(containerId, endpoint, ports);
      refused.push(...failed);
      const failedKeys = new Set(failed.map(({ port }) => keyOf(port)));
      ports = ports.filter((port) => !failedKeys.has(keyOf(port)));
      await pause(changesPauseMs, signal);
    } while (missing.length > 0 && !signal.aborted);
    this.#refused = refused;
    for (const { port, reason } of refused)
      this.#complaints.tell(`${port.protocol} ${port.hostIp} ${port.hostPort}`, reason);
  }
}

/** A host may have no IPv6 at all. */
function isOfHost({ hostIp }: PublishedPort): boolean {
  return !hostIp.includes(':') || existsSync('/proc/net/if_inet6');
}

function keyOf({ protocol, hostIp, hostPort, containerPort }: PublishedPort): string {
  return [protocol, hostIp, hostPort, containerPort].join(' ');
}

/** Nothing carries datagrams into a loopback; of TCP the guest has a way for as many as it can. */
function isUnreachable({ protocol, address, relay }: GuestListener): boolean {
  return isLoopback(address) && !isNameServer(address) && (protocol === 'udp' || relay === 0);
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** The agent's own. */
function isNameServer(address: string): boolean {
  return address === '127.0.0.11';
}

/**
 * Where the host has to listen for these. All addresses of the container are all of the host's, its own is the host's that its
 * interface is named after, and the loopback's are the loopback's.
 */
export function hostPorts(
  listeners: readonly GuestListener[],
  ownAddress: string,
  host: HostPart,
): PublishedPort[] {
  const ports = listeners.flatMap((listener) => {
    const { protocol, port, relay } = listener;
    const at = (hostIp: string, containerPort = port): PublishedPort => ({
      protocol,
      hostIp,
      hostPort: port,
      containerPort,
    });
    const { address } = listener;
    if (address === '0.0.0.0') return [at('0.0.0.0')];
    if (address === '::') return [at('0.0.0.0'), at('::')];
    if (address === ownAddress || address === `::ffff:${ownAddress}`)
      return host.address === '' ? [] : [at(host.address)];
    if (!isLoopback(address) || isNameServer(address) || isUnreachable(listener)) return [];
    return [at(address, relay)];
  });
  return [...new Map(ports.map((port) => [keyOf(port), port])).values()];
}

/** It changes while this waits, which a look at `aborted` behind another one does not expect. */
function isOver({ aborted }: AbortSignal): boolean {
  return aborted;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
