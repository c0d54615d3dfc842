// Published ports: which host addresses and numbers a container gets, Docker's errors for those it cannot have, and the
// records by which they are bound again after a crash.

import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import type { DocumentStore } from '../storage/contract/stores';
import type { NetdPort } from './addresses/netd-protocol';
import { NetdError } from './netd-client';
import type { NetdRequester } from './netd-client';
import type { PublishedPort, RefusedPort } from './network';
import { collections } from './network-record';
import type { EndpointRecord, PublicationRecord } from './network-record';

/** dockerd takes it from ip_local_port_range, whose default this is. */
const ephemeralPorts = { first: 32768, last: 60999 };

const systemMessages: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

export class PortPublisher {
  readonly #documents: DocumentStore;
  readonly #netd: { request: NetdRequester };
  /** Where the search for a free port goes on, as in dockerd. */
  #nextEphemeral = ephemeralPorts.first;

  constructor(documents: DocumentStore, netd: { request: NetdRequester }) {
    this.#documents = documents;
    this.#netd = netd;
  }

  published(containerId: string): PublishedPort[] {
    return this.#documents.get<PublicationRecord>(collections.publications, containerId)?.ports ?? [];
  }

  /**
   * All or nothing; what is published just so already is left alone, connections and all. Throws what Docker says after `driver
   * failed programming external connectivity`. `defaultHostIp`: for ports that name no address.
   */
  async publish(
    at: EndpointRecord,
    defaultHostIp: string,
    wanted: readonly PublishedPort[],
    containerId = at.containerId,
  ): Promise<PublishedPort[]> {
    const known = this.#documents.get<PublicationRecord>(collections.publications, containerId);
    if (known !== undefined && leadsTo(known, at, wanted)) return known.ports;
    // Ports of a container that shares another's endpoint are its own all the same.
    const endpoint = { ...at, containerId };
    await this.unpublish(containerId);
    const ports: PublishedPort[] = [];
    try {
      for (const port of wanted) ports.push(...(await this.#open(endpoint, port, defaultHostIp)));
    } catch (error) {
      await this.#netd.request('port.close', { containerId });
      throw error instanceof DaemonError
        ? error
        : new DaemonError('Internal', errorMessage(error), { cause: error });
    }
    if (ports.length > 0) this.#record(at, containerId, ports);
    return ports;
  }

  /** See NetworkManager.follow. What a crash leaves open without a record is closed by `synchronize`. */
  async follow(
    at: EndpointRecord,
    containerId: string,
    wanted: readonly PublishedPort[],
  ): Promise<RefusedPort[]> {
    const before = this.published(containerId);
    const wantedKeys = new Set(wanted.map(hostKey));
    const beforeKeys = new Set(before.map(hostKey));
    const kept = before.filter((port) => wantedKeys.has(hostKey(port)));
    const gone = before.filter((port) => !wantedKeys.has(hostKey(port)));
    const missing = wanted.filter((port) => !beforeKeys.has(hostKey(port)));
    for (const port of gone) {
      const only = netdPort(containerId, '', port);
      await this.#netd.request('port.close', { containerId, only, keepConnections: true });
    }
    // without those that are gone: another of its sockets may have their numbers next
    if (gone.length > 0) this.#record(at, containerId, kept);
    const refused: RefusedPort[] = [];
    try {
      for (const port of missing) {
        const reason = await this.#tryOpen({ ...at, containerId }, port);
        if (reason === undefined) kept.push(port);
        else refused.push({ port, reason });
      }
    } finally {
      if (missing.length > 0) this.#record(at, containerId, kept);
    }
    return refused;
  }

  /** Why it could not be opened. Throws when nothing can be. */
  async #tryOpen(endpoint: EndpointRecord, port: PublishedPort): Promise<string | undefined> {
    try {
      await this.#openAll(endpoint, [port]);
      return undefined;
    } catch (error) {
      if (error instanceof DaemonError) throw error;
      return errorMessage(error);
    }
  }

  #record(at: EndpointRecord, containerId: string, ports: PublishedPort[]): void {
    const record: PublicationRecord = {
      containerId,
      ...(at.containerId === containerId ? {} : { endpointOf: at.containerId }),
      networkId: at.networkId,
      targetAddress: at.ipv4Address,
      ports,
    };
    if (ports.length > 0) this.#documents.put(collections.publications, containerId, record);
    else this.#documents.delete(collections.publications, containerId);
  }

  async unpublish(containerId: string): Promise<void> {
    if (this.#documents.get(collections.publications, containerId) === undefined) return;
    await this.#netd.request('port.close', { containerId });
    this.#documents.delete(collections.publications, containerId);
  }

  /** Brings netd's listeners to what the records say. A port that somebody else has taken meanwhile is logged. */
  async synchronize(request: NetdRequester, open: readonly NetdPort[]): Promise<void> {
    const records = this.#documents.all<PublicationRecord>(collections.publications);
    const key = (port: NetdPort): string =>
      JSON.stringify([
        port.containerId,
        port.protocol,
        port.hostIp,
        port.hostPort,
        port.targetAddress,
        port.targetPort,
      ]);
    const wanted = records.flatMap((record) =>
      record.ports.map((port) => netdPort(record.containerId, record.targetAddress, port)),
    );
    const wantedKeys = new Set(wanted.map(key));
    const stale = new Set(
      open.filter((port) => !wantedKeys.has(key(port))).map(({ containerId }) => containerId),
    );
    for (const containerId of stale) await request('port.close', { containerId });
    const kept = new Set(open.filter(({ containerId }) => !stale.has(containerId)).map(key));
    for (const port of wanted.filter((candidate) => !kept.has(key(candidate)))) {
      await request('port.open', port).catch((error: unknown) => {
        log.error('published port is lost', {
          container: port.containerId,
          port: port.hostPort,
          error: errorMessage(error),
        });
      });
    }
  }

  /** Forgets publications of containers that `isAttached` denies: their VM is gone. */
  forget(isAttached: (containerId: string) => boolean): void {
    for (const record of this.#documents.all<PublicationRecord>(collections.publications)) {
      const { containerId, endpointOf = containerId } = record;
      if (!isAttached(endpointOf)) this.#documents.delete(collections.publications, containerId);
    }
  }

  /** Opens one port on each address it stands for, with the same number on all. */
  async #open(
    endpoint: EndpointRecord,
    port: PublishedPort,
    defaultHostIp: string,
  ): Promise<PublishedPort[]> {
    if (port.protocol === 'sctp') throw new Error('Error starting userland proxy: protocol not supported');
    const addresses = hostAddresses(port.hostIp, defaultHostIp);
    const fixed = port.hostPort !== 0;
    const last = Math.max(port.hostPort, port.hostPortEnd ?? 0);
    const count = fixed ? last - port.hostPort + 1 : ephemeralPorts.last - ephemeralPorts.first + 1;
    for (let tried = 0; ; tried++) {
      const hostPort = fixed ? port.hostPort + tried : this.#takeEphemeral();
      const opened = addresses.map((hostIp): PublishedPort => ({
        protocol: port.protocol,
        containerPort: port.containerPort,
        hostIp,
        hostPort,
      }));
      try {
        await this.#openAll(endpoint, opened);
        return opened;
      } catch (error) {
        const taken = error instanceof PortTaken;
        if (!taken || (fixed && count === 1)) throw error;
        if (tried + 1 >= count) throw new Error('all ports are allocated', { cause: error });
      }
    }
  }

  async #openAll(endpoint: EndpointRecord, ports: readonly PublishedPort[]): Promise<void> {
    const done: PublishedPort[] = [];
    for (const port of ports) {
      try {
        this.#checkOthers(port);
        await this.#netd.request('port.open', netdPort(endpoint.containerId, endpoint.ipv4Address, port));
        done.push(port);
      } catch (error) {
        for (const only of done.map((opened) => netdPort(endpoint.containerId, '', opened))) {
          await this.#netd.request('port.close', { containerId: endpoint.containerId, only });
        }
        throw error instanceof NetdError ? bindFailure(port, error) : error;
      }
    }
  }

  #checkOthers({ protocol, hostIp, hostPort }: PublishedPort): void {
    const others = this.#documents
      .all<PublicationRecord>(collections.publications)
      .flatMap(({ ports }) => ports);
    if (
      others.some(
        (other) => other.protocol === protocol && other.hostIp === hostIp && other.hostPort === hostPort,
      )
    ) {
      throw new PortTaken(`Bind for ${withPort(hostIp, hostPort)} failed: port is already allocated`);
    }
  }

  #takeEphemeral(): number {
    const port = this.#nextEphemeral;
    this.#nextEphemeral = port === ephemeralPorts.last ? ephemeralPorts.first : port + 1;
    return port;
  }
}

/** Whether it is of these very ports, and leads to that endpoint: netd's listeners are kept to the records. */
function leadsTo(
  { endpointOf, containerId, networkId, targetAddress, ports }: PublicationRecord,
  at: EndpointRecord,
  wanted: readonly PublishedPort[],
): boolean {
  return (
    (endpointOf ?? containerId) === at.containerId &&
    networkId === at.networkId &&
    targetAddress === at.ipv4Address &&
    isDeepStrictEqual(ports, wanted)
  );
}

/** A port of the host, and where it leads. */
function hostKey({ protocol, hostIp, hostPort, containerPort }: PublishedPort): string {
  return [protocol, hostIp, hostPort, containerPort].join(' ');
}

/** The next port of a range may be free. */
class PortTaken extends Error {}

function bindFailure(port: PublishedPort, error: NetdError): Error {
  const reason = systemMessages[error.systemCode ?? ''] ?? error.message;
  const family = port.hostIp.includes(':') ? 6 : 4;
  const where = `${port.protocol}${family} ${withPort(port.hostIp, port.hostPort)}`;
  const message = `Error starting userland proxy: listen ${where}: bind: ${reason}`;
  return error.systemCode === 'EADDRINUSE' ? new PortTaken(message) : new Error(message);
}

function withPort(hostIp: string, hostPort: number): string {
  return `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${hostPort}`;
}

/** No address means all of them: IPv4's and, where the host has it, IPv6's. */
function hostAddresses(hostIp: string, defaultHostIp: string): string[] {
  if (hostIp !== '') return [hostIp];
  if (defaultHostIp !== '0.0.0.0') return [defaultHostIp];
  return existsSync('/proc/net/if_inet6') ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}

function netdPort(containerId: string, targetAddress: string, port: PublishedPort): NetdPort {
  return {
    containerId,
    protocol: port.protocol === 'udp' ? 'udp' : 'tcp',
    hostIp: port.hostIp,
    hostPort: port.hostPort,
    targetAddress,
    targetPort: port.containerPort,
  };
}
