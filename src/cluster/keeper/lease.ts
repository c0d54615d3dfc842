// keeper/: what only one daemon may do at a time: exits, restarts, health checks, what is left behind.
//
// Who that is: the holder of a Lease.

import type { V1Lease, V1LeaseSpec } from '@kubernetes/client-node';
import { isDaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { apiError, callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import { managedBy } from '../records/resource-kinds';

const leaseName = 'caisson-keeper';
const leaseSeconds = 6;
const renewMs = 2_000;

export class LeaseHolder {
  readonly #api: ClusterApi;
  readonly #identity: string;
  #held = false;
  #renewedAt = 0;
  #seen: { version: string; at: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(api: ClusterApi, identity: string) {
    this.#api = api;
    this.#identity = identity;
  }

  get isHeld(): boolean {
    return this.#held && performance.now() - this.#renewedAt < leaseSeconds * 1000;
  }

  /** `gained` and `lost` are called in turn. */
  start(gained: () => void, lost: () => void): void {
    const turn = async (): Promise<void> => {
      const holds = await this.#tryHold();
      if (this.#closed) return;
      if (holds && !this.#held) {
        this.#held = true;
        log.info('this daemon keeps the containers of the namespace', { identity: this.#identity });
        gained();
      } else if (!holds && this.#held && !this.isHeld) {
        this.#held = false;
        lost();
      }
      this.#timer = setTimeout(() => void turn(), renewMs);
    };
    void turn();
  }

  /** Lets another have it at once. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (!this.#held) return;
    this.#held = false;
    try {
      const { namespace } = this.#api;
      const lease = await this.#api.coordination.readNamespacedLease({ namespace, name: leaseName });
      if (lease.spec?.holderIdentity !== this.#identity) return;
      const spec = { ...lease.spec, leaseDurationSeconds: 1, holderIdentity: '' };
      await this.#api.coordination.replaceNamespacedLease({
        namespace,
        name: leaseName,
        body: { ...lease, spec },
      });
    } catch (error) {
      log.debug('the lease could not be given back', { error: apiError(error).message });
    }
  }

  async #tryHold(): Promise<boolean> {
    const { namespace, coordination } = this.#api;
    try {
      const lease = await callApi(() => coordination.readNamespacedLease({ namespace, name: leaseName }));
      if (!this.#isFree(lease)) return false;
      const body = { ...lease, spec: { ...lease.spec, ...this.#claim() } };
      await callApi(() => coordination.replaceNamespacedLease({ namespace, name: leaseName, body }));
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) return this.#failed(error);
      const body = { metadata: { name: leaseName, labels: managedBy }, spec: this.#claim() };
      try {
        await callApi(() => coordination.createNamespacedLease({ namespace, body }));
      } catch (failure) {
        return this.#failed(failure);
      }
    }
    this.#renewedAt = performance.now();
    return true;
  }

  #failed(error: unknown): boolean {
    if (!isDaemonError(error, 'Conflict')) log.debug('no lease', { error: errorMessage(error) });
    return false;
  }

  /** By this machine's clock: those of others are not to be trusted. */
  #isFree(lease: V1Lease): boolean {
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder === '' || holder === this.#identity) return true;
    const version = lease.metadata?.resourceVersion ?? '';
    if (this.#seen?.version !== version) this.#seen = { version, at: performance.now() };
    return performance.now() - this.#seen.at > (lease.spec?.leaseDurationSeconds ?? leaseSeconds) * 1000;
  }

  /** Its time makes each renewal a change: of an object that stays as it is the version stays, too, and others take it for left. */
  #claim(): V1LeaseSpec {
    return {
      holderIdentity: this.#identity,
      leaseDurationSeconds: leaseSeconds,
      renewTime: new MicroTime(Date.now()),
    };
  }
}

/** As Kubernetes reads it: with microseconds. */
class MicroTime extends Date {
  override toISOString(): string {
    return super.toISOString().replace('Z', '000Z');
  }
}
