// Room to start in on a disk that others have filled while no daemon ran: a file holds it from a daemon's end to the next
// one's start. One that was killed needs none: what it had written is still there.

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, systemErrorCode } from '../errors';
import { log } from '../log';

/** The log of the records (document-store.ts), the lock, and what is mended at a start. */
const reserveBytes = 10 * 1024 * 1024;

/** Gives the room free. Returns what takes as much of it as there is, at the daemon's end; that never rejects. */
export async function openStartReserve(dataRoot: string): Promise<() => Promise<void>> {
  const path = join(dataRoot, 'start-reserve');
  await rm(path, { force: true });
  return async () => {
    try {
      await writeFile(path, Buffer.alloc(reserveBytes), { mode: 0o600 });
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOSPC') {
        log.warn('no room could be kept for the next start', { path, error: errorMessage(error) });
      }
    }
  };
}
