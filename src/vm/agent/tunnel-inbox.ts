// Connections that a guest opens, from their first byte to the one listener.

import type { AgentTunnel } from '../contract/agent';

/** A guest with more connections than this that nobody has taken yet is refused others. */
const maxWaiting = 512;

export class TunnelInbox {
  readonly #open: (channel: number) => AgentTunnel;
  #listener: ((tunnel: AgentTunnel) => void) | undefined;
  #waiting: number[] = [];
  #served: number[] = [];

  constructor(open: (channel: number) => AgentTunnel) {
    this.#open = open;
  }

  get full(): boolean {
    return this.#waiting.length >= maxWaiting;
  }

  /** One of the guest's hello: nobody has taken any of its bytes, or an earlier daemon has. */
  found(channel: number, acknowledged: number): void {
    (acknowledged === 0 ? this.#waiting : this.#served).push(channel);
  }

  /** A new one. */
  opened(channel: number): void {
    if (this.#listener === undefined) this.#waiting.push(channel);
    else this.#listener(this.#open(channel));
  }

  listen(listener: (tunnel: AgentTunnel) => void): void {
    this.#listener = listener;
    for (const channel of this.#served.splice(0)) {
      const { output, input } = this.#open(channel);
      output.reset();
      input.end();
    }
    for (const channel of this.#waiting.splice(0)) listener(this.#open(channel));
  }
}
