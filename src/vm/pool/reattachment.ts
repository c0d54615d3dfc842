// The way back to a VM that an earlier daemon has left: its monitor, then its agent, however long a busy host makes it take. What
// it was asked in vain it is asked again, since one in some hundred guests does not notice the first connection of a new daemon.

import { join } from 'node:path';
import { longestTimerMs } from '../../async/deadline';
import { pause } from '../../async/pause';
import { processClock } from '../../async/process-clock';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { AgentClient } from '../agent/agent-client';
import { stoppedProcess } from '../host/host-process';
import { Patience } from '../host/patience';
import type { VmRecord } from '../host/vm-record';
import { agentSocketName, qmpSocketName } from '../qemu/command-line';
import { whileNudged } from '../qemu/host-disk-full';
import { QmpClient } from '../qemu/qmp-client';

/** What a guest that is well takes a small part of. */
const patience = { ranMs: 20_000, idleMs: 20_000 };
/** For the agent's hello: of the first connection, doubled with each further one. */
const firstConnectionMs = 2500;
const longestConnectionMs = 60_000;
/** Of a guest that only gets a moment at a time. */
const waitingConnectionMs = 20_000;
const firstPauseMs = 50;
const longestPauseMs = 5000;
const stopPollMs = 100;

/** Asking it again would not help. */
class UselessVm extends DaemonError {
  constructor(reason: string) {
    super('Unavailable', reason);
  }
}

export interface ReattachmentParts {
  record: Pick<VmRecord, 'id' | 'process'>;
  runDir: string;
  /** Something runs in it: while its process is stopped, it is waited for. */
  isUsed: boolean;
}

export class Reattachment {
  readonly #parts: ReattachmentParts;
  readonly #patience: Patience;
  #waitsForRoomSince: number | undefined;

  constructor(parts: ReattachmentParts) {
    this.#parts = parts;
    this.#patience = new Patience(parts.record.process, { ...patience, countsStops: !parts.isUsed });
  }

  /** Why no answer can come for now; undefined: it may come any moment. */
  hindrance(): { reason: string; forMs: number } | undefined {
    const { stoppedMs } = this.#patience;
    if (stoppedMs > 0) return { reason: stoppedProcess, forMs: stoppedMs };
    if (this.#waitsForRoomSince === undefined) return undefined;
    const forMs = Date.now() - this.#waitsForRoomSince;
    return { reason: 'it waits for room on the host’s disk', forMs };
  }

  /** Once. Rejects with what is wrong, when no answer is to be had or `signal` comes; nothing is connected then. */
  async connect(signal: AbortSignal): Promise<{ qmp: QmpClient; agent: AgentClient }> {
    const over = AbortSignal.any([signal, this.#patience.over]);
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          return await this.#attempt(attempt, over);
        } catch (error) {
          if (over.aborted) throw over.reason;
          if (error instanceof UselessVm) throw error;
          log.debug('a vm is asked once more', { vmId: this.#parts.record.id, error: errorMessage(error) });
        }
        await pause(Math.min(firstPauseMs * 2 ** attempt, longestPauseMs), over);
        // Connections would pile up in its queue.
        while (this.#patience.stoppedMs > 0 && (await pause(stopPollMs, over)));
      }
    } finally {
      this.#patience.end();
    }
  }

  async #attempt(attempt: number, signal: AbortSignal): Promise<{ qmp: QmpClient; agent: AgentClient }> {
    const { record, runDir } = this.#parts;
    const monitor = join(runDir, qmpSocketName);
    const clock = processClock(record.process.pid);
    const qmp = await QmpClient.connect(monitor, { timeoutMs: longestTimerMs, signal, clock });
    try {
      const waitsForRoom = await wake(qmp);
      this.#noteRoom(waitsForRoom);
      const timeoutMs = waitsForRoom
        ? waitingConnectionMs
        : Math.min(firstConnectionMs * 2 ** attempt, longestConnectionMs);
      const hello = (): Promise<AgentClient> =>
        AgentClient.connect(join(runDir, agentSocketName), { timeoutMs, signal, clock });
      const agent = await (waitsForRoom ? whileNudged(record.id, qmp, hello) : hello());
      if (agent.hello.identified) return { qmp, agent };
      agent.disconnect();
      throw new UselessVm('it never got an identity of its own');
    } catch (error) {
      qmp.close();
      throw error;
    }
  }

  #noteRoom(waitsForRoom: boolean): void {
    if (!waitsForRoom) this.#waitsForRoomSince = undefined;
    else {
      this.#waitsForRoomSince ??= Date.now();
      this.#patience.pardon();
    }
  }
}

/**
 * A VM that was paused answers only when it runs; whoever wants it paused says so again. True for one that waits for room on
 * the host's disk.
 */
async function wake(qmp: QmpClient): Promise<boolean> {
  const answer = await qmp.execute('query-status');
  const status =
    typeof answer === 'object' && answer !== null && 'status' in answer ? answer.status : undefined;
  if (status === 'paused') await qmp.execute('cont');
  else if (status !== 'running' && status !== 'io-error') {
    throw new UselessVm(`its state is ${String(status)}`);
  }
  return status === 'io-error';
}
