// A client and a process's streams: what attach and exec do once both are there. Whoever serves the process hands its output to a hub.

import type { StreamClient } from '../../api/v1.41/backend';
import { pause } from '../../async/pause';
import { DaemonError } from '../../errors';
import type { ContainerState } from '../containers/container-state';
import { DetachKeyFilter } from './detach-keys';
import type { ProcessInput, StreamHub, StreamSubscription } from './stream-hub';

/** How long the output goes on when the input has ended and is to stay open for the process. */
const answerMs = 1_000;

export interface StreamSession {
  hub: StreamHub;
  client: StreamClient;
  /** Whether the client's input goes to the process. */
  takesInput: boolean;
  subscription: StreamSubscription;
  /** Undefined: keys mean nothing (no terminal). */
  detachKeys: readonly number[] | undefined;
  /** The client's end of input is the process's; else it is the end of the attachment. */
  endsInput: boolean;
}

/** Why a client's attachment was over. */
export type SessionEnd = 'output' | 'detached' | 'input' | 'gone';

/** Carries bytes both ways until the output ends, the keys are typed or the client is gone. Never rejects for those. */
export async function runStreamSession(session: StreamSession): Promise<SessionEnd> {
  const { client, subscription, hub } = session;
  const over = new AbortController();
  const onGone = (): void => {
    subscription.close();
    over.abort();
  };
  if (client.signal.aborted) onGone();
  client.signal.addEventListener('abort', onGone, { once: true });
  const outcome: { end: SessionEnd } = { end: 'output' };
  const input = (async () => {
    if (client.stdin === undefined || !session.takesInput) return;
    const reason = await copyInput(session, client.stdin, hub, over.signal);
    if (reason === 'stay') return;
    // dockerd closes the output at once, and its processes are quick enough to answer before; one in an emulated CPU is not.
    if (reason === 'input') await pause(answerMs, over.signal);
    outcome.end = reason;
    subscription.end();
  })();
  try {
    for await (const { stream, data } of subscription) await client.write(stream, data);
  } catch {
    subscription.close(); // the client does not take any more
    outcome.end = 'gone';
  } finally {
    over.abort();
    client.signal.removeEventListener('abort', onGone);
  }
  // The reader of stdin may stay blocked in the client's socket: it ends with it, and nobody waits for it.
  void input.catch(() => undefined);
  return client.signal.aborted ? 'gone' : outcome.end;
}

/** Returns `stay` when the end of the input leaves the attachment as it is. */
async function copyInput(
  session: StreamSession,
  stdin: AsyncIterable<Buffer>,
  hub: StreamHub,
  over: AbortSignal,
): Promise<'stay' | 'detached' | 'input'> {
  const filter = session.detachKeys === undefined ? undefined : new DetachKeyFilter(session.detachKeys);
  const target = new InputTarget(hub, over);
  try {
    for await (const data of stdin) {
      const { pass, detached } = filter?.push(data) ?? { pass: data, detached: false };
      // What a client typed before it left still counts; what comes when the output has ended does not.
      if (over.aborted && !session.client.signal.aborted) return 'stay';
      if (pass.length > 0) await target.write(pass);
      if (detached) return 'detached';
    }
  } catch {
    // The client broke off: for the process that is the end of its input, too.
  }
  if (!session.endsInput) return 'input';
  await target.end();
  return 'stay';
}

/** The process's input, as soon as there is a process. One that reads no more lets the rest fall on the floor. */
class InputTarget {
  readonly #hub: StreamHub;
  readonly #over: AbortSignal;
  #input: ProcessInput | undefined;
  #broken = false;

  constructor(hub: StreamHub, over: AbortSignal) {
    this.#hub = hub;
    this.#over = over;
  }

  async write(data: Buffer): Promise<void> {
    if (this.#broken) return;
    this.#input ??= await this.#hub.input(this.#over);
    try {
      await this.#input?.write(data);
    } catch {
      this.#broken = true; // as into a broken pipe
    }
  }

  async end(): Promise<void> {
    this.#input ??= await this.#hub.input(this.#over);
    this.#input?.end();
  }
}

/** Refuses as Docker does when the container, which the client called `ref`, is in no state to be attached to. */
export function requireAttachable({ state }: { state: ContainerState }, ref: string): void {
  if (state.kind === 'paused') {
    throw new DaemonError('Conflict', `container ${ref} is paused, unpause the container before attach`);
  }
  if (state.kind === 'restarting') {
    throw new DaemonError('Conflict', `container ${ref} is restarting, wait until the container is running`);
  }
}
