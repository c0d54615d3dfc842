// The ports that this daemon listens on for containers, and their tunnels.

import { DaemonError } from '../../errors';
import type { PublishedPort } from '../../network/network';
import type { ClusterRecord } from '../contract/cluster-record';
import type { Supervisor } from '../supervisor/supervisor';
import { openTunnel } from './open-tunnel';
import { PortListeners, unreachable } from './port-listeners';
import type { Tunnel } from './tunnel';

interface Publication {
  listeners: PortListeners;
  tunnel: Promise<Tunnel> | undefined;
}

export class PublishedPorts {
  readonly #supervisor: (podName: string) => Supervisor;
  readonly #publications = new Map<string, Publication>();

  constructor(supervisor: (podName: string) => Supervisor) {
    this.#supervisor = supervisor;
  }

  has(containerId: string): boolean {
    return this.#publications.has(containerId);
  }

  /** Binds them all, or none; what was bound for the container before is let go. Throws in Docker's words. */
  async open(
    record: ClusterRecord,
    pod: { name: string; address: string },
    wanted: readonly PublishedPort[],
  ): Promise<PublishedPort[]> {
    this.close(record.id);
    if (wanted.length === 0) return [];
    if (wanted.some(({ protocol }) => protocol === 'sctp'))
      throw unreachable(endpointOf(record), 'Error starting userland proxy: protocol not supported');
    const dial = async (
      port: number,
      protocol: 'tcp' | 'udp',
    ): ReturnType<Parameters<typeof PortListeners.open>[2]> => {
      const publication = this.#publications.get(record.id);
      if (publication === undefined) throw new DaemonError('Unavailable', 'the container is starting');
      return (await this.#tunnel(publication, pod)).connect(port, protocol);
    };
    const listeners = await PortListeners.open(wanted.map(listenerOf), endpointOf(record), dial);
    this.#publications.set(record.id, { listeners, tunnel: undefined });
    return listeners.bound;
  }

  close(containerId: string): void {
    const publication = this.#publications.get(containerId);
    if (publication === undefined) return;
    this.#publications.delete(containerId);
    publication.listeners.close();
    publication.tunnel?.then(
      (tunnel) => tunnel.close(),
      () => undefined,
    );
  }

  closeAll(): void {
    for (const id of [...this.#publications.keys()]) this.close(id);
  }

  /** One for all connections; another when it is lost. */
  async #tunnel(publication: Publication, pod: { name: string; address: string }): Promise<Tunnel> {
    const known = await publication.tunnel?.catch(() => undefined);
    if (known !== undefined && !known.isOver) return known;
    const { name, address } = pod;
    publication.tunnel = openTunnel(this.#supervisor(name), { kind: 'tunnel', address });
    return publication.tunnel;
  }
}

/** As Docker's errors name it. */
export function endpointOf({ name, networks }: ClusterRecord): string {
  const id = Object.values(networks).find(({ endpoint }) => endpoint !== undefined)?.endpoint?.id;
  return id === undefined ? name : `${name} (${id})`;
}

function listenerOf(port: PublishedPort): Parameters<typeof PortListeners.open>[0][number] {
  const { containerPort, protocol, hostIp, hostPort, hostPortEnd } = port;
  return {
    containerPort,
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    hostIp,
    hostPort,
    ...(hostPortEnd === undefined ? {} : { lastHostPort: hostPortEnd }),
  };
}
