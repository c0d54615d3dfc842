// What the engine sees of the in-guest agent. AgentClient speaks the protocol on a socket; tests have FakeAgent.

import type { Clock } from '../../async/deadline';
import type { BulkAreas } from './bulk';
import type { AgentEvent, AgentHello, AgentOperation, AgentOperations } from './protocol';

/** A chunk of a guest-to-host channel. `offset` is that of its first byte. */
export interface OutputChunk {
  data: Buffer;
  offset: number;
}

/** The receiving end of a guest-to-host channel. Nothing is acknowledged by itself. */
export interface AgentOutput {
  readonly channel: number;
  /**
   * Exactly one consumer. `onChunk` gets the bytes in order, without gap or repetition; `onEnd` follows the last one.
   * `onLost` is called instead if the channel can't be continued (the VM is gone).
   */
  consume(handlers: {
    onChunk: (chunk: OutputChunk) => void;
    onEnd: () => void;
    onLost: (error: Error) => void;
  }): void;
  /** Every byte before `offset` is where it belongs; the guest may forget it and send more. */
  ack(offset: number): void;
  /** Wants no more of it: the guest throws away what comes. */
  reset(): void;
}

/** The sending end of a host-to-guest channel. */
export interface AgentInput {
  readonly channel: number;
  /** Resolves when there is credit for more (backpressure). Rejects with EPIPE once the guest has reset the channel. */
  write(data: Buffer): Promise<void>;
  end(): void;
}

/** A connection that the guest has opened (`tunnel.listen`): both ends of one of its own channels. */
export interface AgentTunnel {
  /** Its first line is the name of the socket. */
  readonly output: AgentOutput;
  readonly input: AgentInput;
}

/**
 * What a guest gets to have on its disks what was written to them: for `shutdown`, `pod.teardown`, `container.remove`. It may be
 * all of its memory, and the host's disk may be busy.
 */
export const writeBackTimeoutMs = 60_000;

export interface Agent {
  readonly hello: AgentHello;
  /** Resolves when the connection is over, with the reason: nothing more comes of what was asked. */
  readonly closed: Promise<Error>;
  /** The VM's own time, by which deadlines for what it does are counted. */
  readonly clock: Clock;
  /** Undefined: all goes by the port. */
  readonly bulk?: BulkAreas | undefined;
  /** Why nothing can come of the guest for now: its process is stopped. Resolves with undefined: it can. */
  hindrance?: (() => Promise<string | undefined>) | undefined;
  /** Rejects with AgentError when the agent refuses, with DaemonError('Unavailable') when the VM is gone or the time is over, by its clock. */
  request<Op extends AgentOperation>(
    op: Op,
    params: AgentOperations[Op]['params'],
    options?: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<AgentOperations[Op]['result']>;
  /** Numbers a new channel that is not in use in this VM. */
  allocateChannel(): number;
  /** Opens the receiving end; call before the request that names the channel. `fromOffset` is for an adopted channel: bytes before it are dropped. */
  openOutput(channel: number, fromOffset?: number): AgentOutput;
  openInput(channel: number): AgentInput;
  /** Events in order, each once; call `ack` when it is recorded. Events that came before the first listener are kept. Returns what ends the listening. */
  onEvent(listener: (event: AgentEvent, ack: () => void) => void): () => void;
  /**
   * One listener for the guest's connections; those that came before it are kept. Connections that an earlier daemon has
   * served can't be gone on with: they are closed.
   */
  onTunnel(listener: (tunnel: AgentTunnel) => void): void;
}
