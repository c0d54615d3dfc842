// A container's log, followed across connections that break off.

import { pause } from '../../async/pause';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import type { LogBatch } from '../supervisor/records';
import type { FollowRequest } from '../supervisor/protocol';
import type { Following, Supervisor } from '../supervisor/supervisor';

/** An API server that is gone comes back in minutes, or the follower is told. Pauses between tries double from the first on. */
const awayMs = 180_000;
const firstPauseMs = 200;
const longestPauseMs = 5_000;

export interface FollowOptions extends FollowRequest {
  /** Undefined: the container, or its Pod, is gone, and nothing more comes. */
  supervisor: () => Supervisor | undefined;
  /** With each new connection. */
  connected?: (following: Following) => void;
  /** A session that is there already. */
  first?: Following;
}

/**
 * What is in the log, once and in order, however often the connection is lost. Ends without an error with `signal`; rejects when there
 * is no way back.
 */
export async function* followLog(
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<LogBatch, void, undefined> {
  const { supervisor, connected, first, ...request } = options;
  let position = request.from;
  let given = first;
  let lastHeardMs = performance.now();
  for (let failures = 0; ;) {
    let following = given;
    given = undefined;
    const target = supervisor();
    // A session that is there brings what its run has said, though the container may be gone.
    if (signal.aborted || (target === undefined && following === undefined)) {
      following?.close();
      return;
    }
    const close = (): void => following?.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      following ??= await target?.follow(
        { ...request, ...(position === undefined ? {} : { from: position }) },
        signal,
      );
      if (following === undefined) return;
      connected?.(following);
      for await (const batch of following.batches) {
        position = batch.events.at(-1)?.position ?? batch.position;
        failures = 0;
        yield batch;
        lastHeardMs = performance.now();
      }
      return;
    } catch (error) {
      if (isOver(signal)) return;
      // A session that was quiet for long has been heard of till now: PONGs come over it.
      if (failures === 0) lastHeardMs = performance.now();
      failures += 1;
      const isGone = performance.now() - lastHeardMs > awayMs;
      if (isGone || !(error instanceof DaemonError) || error.code !== 'Unavailable') throw error;
      log.debug('a log is followed anew', { position, error: error.message });
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
    await pause(Math.min(firstPauseMs * 2 ** Math.min(failures, 10), longestPauseMs), signal);
  }
}

/** Looked at anew: it may have changed during a wait. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
