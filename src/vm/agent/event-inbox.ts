// Events of one VM: each handed over once, acknowledged in order.

import { log } from '../../log';
import { encodeOffset, ProtocolError, type FrameWriter } from './frame';
import { parseEvent, parseObject, parseSeq } from './messages';
import { FrameType, type AgentEvent } from '../contract/protocol';

export type EventListener = (event: AgentEvent, ack: () => void) => void;

/** Exits and OOM kills that nobody has recorded yet: a guest with more of them is made to be a burden. */
const maxUnacknowledged = 10_000;

const toldUnknown = 5;

export class EventInbox {
  readonly #write: FrameWriter;
  readonly #listeners = new Set<EventListener>();
  /** Numbers that are handed over or wait for a listener, ascending. An acknowledgement covers all before it. */
  readonly #open = new Set<number>();
  #waiting: AgentEvent[] = [];
  #last = 0;
  #unknown = 0;
  #acknowledged = 0;

  constructor(write: FrameWriter) {
    this.#write = write;
  }

  /** Returns what ends the listening. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener);
    for (const event of this.#waiting.splice(0)) this.#deliver(event);
    return () => this.#listeners.delete(listener);
  }

  /** An EVENT frame. Throws ProtocolError for one that breaks the format. */
  receive(payload: Buffer): void {
    const message = parseObject(payload);
    const event = parseEvent(message);
    const seq = event?.seq ?? parseSeq(message);
    // Sent again after a re-connection: what this client has delivered it does not deliver twice.
    if (seq <= this.#last) return;
    this.#last = seq;
    if (event === undefined) {
      // Of a newer agent; it must not be sent for ever.
      this.#tellUnknown(String(message['event']).slice(0, 100));
      this.#acknowledge(seq);
      return;
    }
    if (this.#open.size >= maxUnacknowledged) throw new ProtocolError('a flood of events');
    this.#open.add(seq);
    if (this.#listeners.size > 0) this.#deliver(event);
    else this.#waiting.push(event);
  }

  /** The first ones, then only how many there were by now: a guest that sends nothing else must not fill the host's log. */
  #tellUnknown(event: string): void {
    this.#unknown += 1;
    if (this.#unknown <= toldUnknown) log.warn('unknown event from a VM', { event });
    else if (Number.isInteger(Math.log10(this.#unknown)))
      log.warn('unknown events from a VM', { event, count: this.#unknown });
  }

  #deliver(event: AgentEvent): void {
    for (const listener of [...this.#listeners]) listener(event, () => this.#acknowledge(event.seq));
  }

  /** Tells the guest of the last event before which none is open. */
  #acknowledge(seq: number): void {
    this.#open.delete(seq);
    const [firstOpen] = this.#open;
    const upTo = firstOpen === undefined ? this.#last : firstOpen - 1;
    if (upTo <= this.#acknowledged) return;
    this.#acknowledged = upTo;
    this.#write(encodeOffset(FrameType.eventAck, 0, upTo));
  }
}
