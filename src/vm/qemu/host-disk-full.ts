// A host's disk that is full: QEMU stops the VM at the write that has no room (werror=enospc, its default for disks), and
// repeats that write when the VM goes on. Nothing is lost; it only has to be told when to try.

import { log } from '../../log';
import type { QmpClient, QmpEvent } from './qmp-client';

const retryMs = 2000;
/**
 * A VM that was found waiting is asked things by the daemon that starts. With each try its CPUs run until the host has refused the
 * write again, which is long enough to come by an answer in some hundred tries.
 */
const eagerRetryMs = 10;
const eagerForMs = 30_000;

/** Stops and starts of one VM for want of room on the host. It holds no VM back that a user has paused. Logs other errors. */
export class HostDiskFull {
  readonly #vmId: string;
  readonly #qmp: Pick<QmpClient, 'execute'>;
  readonly #retryMs: number;
  #eagerUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #told = false;
  readonly #refused = new Set<string>();

  constructor(vmId: string, qmp: Pick<QmpClient, 'execute'>, options: { retryMs: number } = { retryMs }) {
    this.#vmId = vmId;
    this.#qmp = qmp;
    this.#retryMs = options.retryMs;
  }

  /** Every event of the VM's monitor. */
  onEvent({ event, data }: QmpEvent): void {
    if (event !== 'BLOCK_IO_ERROR') return;
    const details = { vmId: this.#vmId, device: data['node-name'] ?? data['device'], reason: data['reason'] };
    if (data['action'] !== 'stop') {
      this.#tellRefusal({ ...details, operation: data['operation'] });
      return;
    }
    if (!this.#told) {
      this.#told = true;
      log.error('the host has no room for what a VM writes: it waits until there is some', details);
    }
    this.#wait();
  }

  /** Once for a disk and what failed: the guest, which sees EIO, may try as often as it likes. */
  #tellRefusal(details: { device: unknown; operation: unknown }): void {
    const key = `${String(details.device)} ${String(details.operation)}`;
    if (this.#refused.has(key)) return;
    this.#refused.add(key);
    log.error('the host could not read or write a disk of a VM, which was told of an I/O error', details);
  }

  /** For a VM that an earlier daemon has left. */
  async check(): Promise<void> {
    if (!(await this.#isStopped())) return;
    this.#eagerUntil = Date.now() + eagerForMs;
    this.#wait();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(): void {
    const pauseMs = Date.now() < this.#eagerUntil ? Math.min(eagerRetryMs, this.#retryMs) : this.#retryMs;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#resume().catch((error: unknown) =>
        log.debug('a VM that waits for room', { vmId: this.#vmId, error }),
      );
    }, pauseMs).unref();
  }

  /** The write is tried again; without room it stops again. A VM that is found running a whole pause later goes on. */
  async #resume(): Promise<void> {
    // A user's pause is another state, and ends by the user's word; the write is tried again then.
    if (await this.#isStopped()) {
      await this.#qmp.execute('cont');
      this.#wait();
      return;
    }
    if (this.#told) log.info('a VM that waited for room on the host goes on', { vmId: this.#vmId });
    this.#told = false;
  }

  async #isStopped(): Promise<boolean> {
    const status = await this.#qmp.execute('query-status');
    return (
      typeof status === 'object' && status !== null && 'status' in status && status.status === 'io-error'
    );
  }
}

/** What `work` gives, which needs an answer of a VM that waits for room. Until then its CPUs get a moment at a time. */
export async function whileNudged<T>(
  vmId: string,
  qmp: Pick<QmpClient, 'execute'>,
  work: () => Promise<T>,
): Promise<T> {
  const full = new HostDiskFull(vmId, qmp);
  try {
    await full.check();
    return await work();
  } finally {
    full.close();
  }
}
