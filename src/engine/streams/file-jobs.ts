// Jobs of the agent on a container's files: their streams and their ends.

import { randomBytes } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import type { Agent, AgentInput, AgentOutput } from '../../vm/contract/agent';
import { BulkReader, BulkWriter } from '../../vm/agent/bulk-streams';
import type { ExitStatus, GuestJob } from '../../vm/contract/protocol';

/** What a job said on its standard error, with its errno. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly errno: number;

  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

/** Kinds that carry an archive, by which stream it goes. */
const archiveStreams: Partial<Record<GuestJob['kind'], 'input' | 'output'>> = {
  archive: 'output',
  export: 'output',
  layer: 'output',
  extract: 'input',
};
const maxErrorBytes = 16_384;
const sigKill = 9;
/** How long a VM's process may be stopped while a job of it is waited for. */
const stopPatienceMs = 5000;
const looksAtStops = 10;

/** Of the promise of a job's exit. */
interface Settle {
  end: (status: ExitStatus) => void;
  fail: (error: Error) => void;
}

export interface FileJob {
  /** Ends, or fails with JobError, when the job is over: a job's failure is never mistaken for its end. */
  readonly output: Readable;
  readonly input: Pick<AgentInput, 'write' | 'end'>;
  /** Rejects with JobError. */
  readonly done: Promise<void>;
}

/** Jobs by id, so that the agent's events find them. */
export class FileJobs {
  readonly #running = new Map<string, { agent: Agent } & Settle>();
  readonly #watched = new WeakSet<Agent>();
  readonly #stopPatienceMs: number;

  constructor({ stoppedMs = stopPatienceMs }: { stoppedMs?: number } = {}) {
    this.#stopPatienceMs = stoppedMs;
  }

  /** Whether the process was a job. */
  onExit(id: string, status: ExitStatus): boolean {
    this.#running.get(id)?.end(status);
    return this.#running.delete(id);
  }

  /** With the VM, or its port, goes the news of exits: also when a job's streams had come to their end before. */
  #watch(agent: Agent): void {
    if (this.#watched.has(agent)) return;
    this.#watched.add(agent);
    void agent.closed.then((error) => {
      for (const [id, job] of this.#running) {
        if (job.agent !== agent) continue;
        this.#running.delete(id);
        job.fail(error);
      }
    });
  }

  /** Rejects when the agent refuses. `signal` kills the job. */
  async start(agent: Agent, containerId: string, job: GuestJob, signal: AbortSignal): Promise<FileJob> {
    signal.throwIfAborted();
    const id = `job-${randomBytes(8).toString('hex')}`;
    const channels = {
      stdin: agent.allocateChannel(),
      stdout: agent.allocateChannel(),
      stderr: agent.allocateChannel(),
    };
    const way = archiveStreams[job.kind];
    const area = way === undefined ? undefined : await agent.bulk?.lease();
    const output = new ChannelReader(agent.openOutput(channels.stdout));
    const errorOutput = agent.openOutput(channels.stderr);
    const errors = collectText(errorOutput);
    const exited = new Promise<ExitStatus>((end, fail) => this.#running.set(id, { agent, end, fail }));
    // Who destroys the output gives up on the job. The listener stays: later errors are nobody's.
    const givenUp = new Promise<never>((_, reject) => output.on('error', reject));
    for (const promise of [exited, givenUp]) promise.catch(() => undefined);
    this.#watch(agent);
    const watchEnd = whenStopped(agent, this.#stopPatienceMs, (error) => output.destroy(error));
    const kill = (): void => {
      agent.request('process.signal', { id, signal: sigKill }).catch(() => undefined);
    };
    const bulk = area === undefined ? {} : { bulk: area.guest };
    const refusals: unknown[] = [];
    const begun = agent
      .request('job.start', { id, containerId, job: { ...job, ...bulk }, ...channels })
      .catch((error: unknown) => {
        refusals.push(error);
        throw error;
      });
    try {
      await Promise.race([begun, givenUp]);
    } catch (error) {
      watchEnd();
      output.destroy();
      errorOutput.reset();
      const forget = async (): Promise<void> => {
        this.#running.delete(id);
        await area?.release();
      };
      if (refusals.length > 0) await forget();
      else {
        kill(); // it may begin after all
        void begun.then(() => exited).then(forget, forget);
      }
      throw error;
    }
    if (signal.aborted) kill();
    else signal.addEventListener('abort', kill, { once: true });
    // Who stops reading wants no more of it.
    output.once('close', () => {
      if (!output.readableEnded) kill();
    });
    const told = exited.then(async ({ exitCode }) => {
      if (exitCode !== 0) throw new JobError(exitCode, await errors);
      signal.throwIfAborted();
    });
    const done = Promise.race([told, givenUp]).finally(() => {
      watchEnd();
      signal.removeEventListener('abort', kill);
    });
    done.then(
      () => output.finish(),
      (error: unknown) => output.destroy(error as Error),
    );
    // The stream has the error too; who only reads that one needs nothing of this.
    done.catch(() => undefined);
    const input = agent.openInput(channels.stdin);
    if (area === undefined) return { output, input, done };
    // The guest has finished with the disk, or is gone: a job that was given up may still write there.
    const over = exited.catch(() => undefined);
    if (way === 'input') {
      void over.then(() => area.release());
      return { output, input: new BulkWriter(input, area, output), done };
    }
    const archive = new BulkReader(area, input);
    const closed = new Promise((resolve) => archive.once('close', resolve));
    void Promise.all([over, closed]).then(() => area.release());
    // Either's error is the other's; both have it when this is called.
    pipeline(output, archive, () => undefined);
    archive.on('error', () => undefined); // whoever reads it has listeners of its own
    return { output: archive, input, done };
  }
}

/** Calls `onStopped` once the VM's process has been stopped for so long at a stretch. Returns what ends the watch. */
function whenStopped(agent: Agent, patienceMs: number, onStopped: (error: Error) => void): () => void {
  let looks = 0;
  const timer = setInterval(() => {
    void agent.hindrance?.().then((reason) => {
      looks = reason === undefined ? 0 : looks + 1;
      if (reason === undefined || looks < looksAtStops) return;
      clearInterval(timer);
      onStopped(new DaemonError('Unavailable', `the virtual machine can't answer: ${reason}`));
    });
  }, patienceMs / looksAtStops);
  return () => clearInterval(timer);
}

/** A guest-to-host channel as a stream with backpressure. It does not end before `finish` says that all went well. */
class ChannelReader extends Readable {
  readonly #channel: AgentOutput;
  #unread = 0;
  #ended = false;
  #finished = false;

  constructor(channel: AgentOutput) {
    super();
    this.#channel = channel;
    channel.consume({
      onChunk: ({ data, offset }) => {
        if (this.destroyed) return;
        this.#unread = offset + data.length;
        if (this.push(data)) channel.ack(this.#unread);
      },
      onEnd: () => {
        this.#ended = true;
        this.#endIfOver();
      },
      onLost: (error) => this.destroy(error),
    });
  }

  finish(): void {
    this.#finished = true;
    this.#endIfOver();
  }

  override _read(): void {
    this.#channel.ack(this.#unread);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#ended) this.#channel.reset();
    callback(error);
  }

  #endIfOver(): void {
    if (this.#ended && this.#finished && !this.destroyed) this.push(null);
  }
}

/** What came until the channel ended, or was lost. */
function collectText(channel: AgentOutput): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve) => {
    const settle = (): void => resolve(Buffer.concat(chunks).toString());
    channel.consume({
      onChunk: ({ data, offset }) => {
        size += data.length;
        if (size <= maxErrorBytes) chunks.push(Buffer.from(data));
        channel.ack(offset + data.length);
      },
      onEnd: settle,
      onLost: settle,
    });
  });
}

/** All of a job's output. For small ones. Throws JobError, and DaemonError past `maxBytes`. */
export async function readJob({ output }: FileJob, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of output as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new DaemonError('Internal', 'the guest answered with too much');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
