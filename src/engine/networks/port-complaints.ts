// What the daemon's log has of ports that the host could not open for a container: which these are is the guest's to say.

import { log } from '../../log';

/** Of one run of a container, whatever its guest makes of its listeners. */
const maxTold = 64;

export class PortComplaints {
  readonly #containerId: string;
  readonly #reasons = new Map<string, string>();
  #told = 0;

  constructor(containerId: string) {
    this.#containerId = containerId;
  }

  /** Each port and reason once, and no more of them than a log can bear. */
  tell(port: string, reason: string): void {
    if (this.#told >= maxTold || this.#reasons.get(port) === reason) return;
    this.#reasons.set(port, reason);
    this.#told += 1;
    log.warn("a port that a container on the host's network listens on is not open on the host", {
      containerId: this.#containerId,
      port,
      reason,
      ...(this.#told === maxTold ? { further: 'are not told' } : {}),
    });
  }
}
