// Published ports that are a Service: it comes with a run of the container and goes with it, and with its Pod whatever happens.

import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { pause } from '../../async/pause';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import type { V1NetworkPolicy, V1Service } from '@kubernetes/client-node';
import type { PublishedPort } from '../../network/network';
import type { PodFacts } from '../contract/cluster-record';
import { unreachable } from './port-listeners';
import {
  nextPorts,
  portPolicy,
  portService,
  publishedBy,
  refusalOf,
  servicePorts,
  type PortOwner,
  type ServicePorts,
  type ServiceType,
} from './port-plan';

/** What is done with Services of the namespace, and with policies that let them in. Throws as the API does. */
export interface ServiceObjects {
  create(service: V1Service): Promise<V1Service>;
  /** By a selector of labels. */
  list(labelSelector: string): Promise<V1Service[]>;
  remove(name: string): Promise<void>;
  putPolicy(policy: V1NetworkPolicy): Promise<void>;
  removePolicy(name: string): Promise<void>;
}

export interface PortServicesContext {
  objects: ServiceObjects;
  /** Of all that is ours. */
  labels: Readonly<Record<string, string>>;
  /** What a Pod's own label is called, and its value for a container. */
  idLabel: (containerId: string) => { key: string; value: string };
  /** Of the node that the Pod is on. */
  nodeAddress: (podName: string) => string | undefined;
}

/** A cloud takes minutes to make a load balancer. */
const balancerMs = 300_000;
const lookMs = 1_000;

export class PortServices {
  readonly #context: PortServicesContext;
  /** By container: of a run that is not recorded yet. */
  readonly #opened = new Map<string, { service: string; abort: AbortController }>();

  constructor(context: PortServicesContext) {
    this.#context = context;
  }

  /** Throws Internal in Docker's words where a port can't be had; then there is no Service. `endpoint`: whose it is, for these. */
  async open(
    containerId: string,
    { type, endpoint, pod }: { type: ServiceType; endpoint: string; pod: PodFacts },
    wanted: readonly PublishedPort[],
  ): Promise<{ service: string; published: PublishedPort[] }> {
    const { key, value } = this.#context.idLabel(containerId);
    const selector = { [key]: value };
    const owner = { containerId, pod, labels: { ...this.#context.labels, ...selector }, selector };
    const name = `ports-${containerId.slice(0, 12)}-${randomBytes(4).toString('hex')}`;
    try {
      // of a run that a daemon has begun and did not live to record
      for (const { metadata } of await this.#context.objects.list(`${key}=${value}`))
        await this.#remove(metadata?.name ?? '');
      const ports = servicePorts(wanted, type);
      const abort = new AbortController();
      this.#opened.set(containerId, { service: name, abort });
      const made = await this.#create(name, type, owner, ports);
      await this.#context.objects.putPolicy(portPolicy(policyName(containerId), owner, made.ports));
      const address =
        type === 'NodePort'
          ? (this.#context.nodeAddress(pod.name) ?? '0.0.0.0')
          : await this.#balancer(name, `${key}=${value}`, abort.signal);
      return { service: name, published: publishedBy(made.service, type, made.ports, address) };
    } catch (error) {
      await this.close(containerId, name).catch((failure: unknown) => {
        log.warn('a Service of ports is left', { service: name, error: errorMessage(failure) });
      });
      throw unreachable(endpoint, errorMessage(error), error);
    }
  }

  /** `service`: as its record has it, '' where it has none. */
  async close(containerId: string, service: string): Promise<void> {
    const names = new Set(
      [service, this.#opened.get(containerId)?.service ?? ''].filter((name) => name !== ''),
    );
    this.forget(containerId);
    if (names.size === 0) return;
    for (const name of names) await this.#remove(name);
    await this.#context.objects.removePolicy(policyName(containerId));
  }

  /** It goes with its Pod. */
  forget(containerId: string): void {
    this.#opened.get(containerId)?.abort.abort();
    this.#opened.delete(containerId);
  }

  /** Of ranges the first numbers that are free. */
  async #create(
    name: string,
    type: ServiceType,
    owner: PortOwner,
    wanted: ServicePorts,
  ): Promise<{ service: V1Service; ports: ServicePorts }> {
    for (let ports = wanted; ;) {
      try {
        return { service: await this.#context.objects.create(portService(name, type, owner, ports)), ports };
      } catch (error) {
        if (!isDaemonError(error, 'InvalidParameter')) throw error;
        const next = nextPorts(ports, error.message);
        if (next === undefined)
          throw new DaemonError('Internal', refusalOf(ports, error.message), { cause: error });
        ports = next;
      }
    }
  }

  /** Its address, once the cluster has given it one. */
  async #balancer(name: string, labelSelector: string, signal: AbortSignal): Promise<string> {
    for (const end = performance.now() + balancerMs; performance.now() < end; await pause(lookMs, signal)) {
      if (signal.aborted) throw new DaemonError('Unavailable', 'the container is gone');
      const services = await this.#context.objects.list(labelSelector);
      const service = services.find(({ metadata }) => metadata?.name === name);
      if (service === undefined) throw new DaemonError('Unavailable', `the Service ${name} was removed`);
      const { ip, hostname } = service.status?.loadBalancer?.ingress?.[0] ?? {};
      if (ip !== undefined) return ip;
      if (hostname === undefined) continue;
      const found = await lookup(hostname).catch(() => undefined); // a name that is new may not be known yet
      if (found !== undefined) return found.address;
    }
    throw new DaemonError(
      'Unavailable',
      `the cluster has given its LoadBalancer no address within ${balancerMs / 60_000} minutes`,
    );
  }

  async #remove(name: string): Promise<void> {
    try {
      await this.#context.objects.remove(name);
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
  }
}

function policyName(containerId: string): string {
  return `ports-${containerId.slice(0, 12)}`;
}
