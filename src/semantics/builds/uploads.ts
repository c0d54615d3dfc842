// Contexts that come in a request of their own, beside the build's: whichever is first waits for the other.

import { finished } from 'node:stream/promises';
import { within } from '../../async/deadline';
import { DaemonError } from '../../errors';

const arrivalMs = 5_000;

interface Meeting {
  readonly body: Promise<NodeJS.ReadableStream>;
  readonly bring: (body: NodeJS.ReadableStream) => void;
  readonly taken: Promise<void>;
  readonly take: () => void;
}

export class Uploads {
  readonly #meetings = new Map<string, Meeting>();

  /** The build's part: its context. */
  async take(id: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    const meeting = this.#meeting(id);
    meeting.take();
    return this.#within(id, meeting.body, signal);
  }

  /** The upload's part. Resolves when the body was read to its end. */
  async bring(id: string, body: NodeJS.ReadableStream, signal: AbortSignal): Promise<void> {
    const meeting = this.#meeting(id);
    meeting.bring(body);
    await this.#within(id, meeting.taken, signal);
    this.#meetings.delete(id);
    await finished(body, { signal });
  }

  async #within<T>(id: string, promise: Promise<T>, signal: AbortSignal): Promise<T> {
    const overdue = (): Error => new DaemonError('Internal', 'context deadline exceeded');
    try {
      return await within(promise, arrivalMs, { signal, overdue });
    } catch (error) {
      this.#meetings.delete(id);
      throw error;
    }
  }

  #meeting(id: string): Meeting {
    const known = this.#meetings.get(id);
    if (known !== undefined) return known;
    let bring: Meeting['bring'] = () => undefined;
    let take: Meeting['take'] = () => undefined;
    const body = new Promise<NodeJS.ReadableStream>((resolve) => (bring = resolve));
    const taken = new Promise<void>((resolve) => (take = resolve));
    const meeting = { body, bring, taken, take };
    this.#meetings.set(id, meeting);
    return meeting;
  }
}
