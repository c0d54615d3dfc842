// Attaching a client to a container's or an exec's streams.

import type { AttachOptions, LogLine, OpenStream, StreamClient } from '../../api/v1.41/backend';
import { pause } from '../../async/pause';
import { DaemonError } from '../../errors';
import type { Container } from '../core/container-registry';
import { DetachKeyFilter, requireDetachKeys } from '../streams/detach-keys';
import type { RunOffsets } from '../logs/records/log-record';
import type { ProcessInput, StreamHub, StreamSubscription } from '../streams/stream-hub';

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
export function requireAttachable(container: Container, ref: string): void {
  if (container.state.kind === 'paused') {
    throw new DaemonError('Conflict', `container ${ref} is paused, unpause the container before attach`);
  }
  if (container.state.kind === 'restarting') {
    throw new DaemonError('Conflict', `container ${ref} is restarting, wait until the container is running`);
  }
}

export interface AttachDependencies {
  /** What the client called the container. */
  ref: string;
  hub: StreamHub;
  /** The container's log so far, for `logs=1`, and how far in the run that is. */
  readLog: (signal: AbortSignal, onRead: (offsets: RunOffsets) => void) => AsyncIterable<LogLine>;
  publish: (action: 'attach' | 'detach') => void;
}

/** ContainerAttach: the log if wanted, then the live streams if wanted. */
export async function attachToContainer(
  container: Container,
  options: AttachOptions,
  open: OpenStream,
  { ref, hub, readLog, publish }: AttachDependencies,
): Promise<void> {
  const detachKeys = requireDetachKeys(options.detachKeys);
  requireAttachable(container, ref);
  const { config } = container.record;
  const terminal = config.Tty;
  const subscription = options.stream
    ? hub.subscribe({ stdout: options.stdout, stderr: options.stderr })
    : undefined;
  try {
    const client = open({ terminal });
    if (options.logs) {
      let logged: RunOffsets | undefined;
      for await (const line of readLog(client.signal, (offsets) => (logged = offsets))) {
        if (line.stream === 'stdout' ? options.stdout : options.stderr)
          await client.write(line.stream, line.data);
      }
      // What came after the subscription began may have got into the log that was read since.
      if (logged !== undefined) subscription?.skipTo(logged.run, logged);
    }
    publish('attach');
    const takesInput = config.OpenStdin && options.stdin;
    // As dockerd: whoever is attached to nothing is done.
    if (subscription === undefined || !(takesInput || options.stdout || options.stderr)) return;
    const end = await runStreamSession({
      hub,
      client,
      takesInput,
      subscription,
      detachKeys: terminal ? detachKeys : undefined,
      endsInput: config.StdinOnce && !terminal,
    });
    if (end === 'detached') publish('detach');
  } finally {
    subscription?.close();
  }
}
