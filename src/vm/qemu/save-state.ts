// Writes a stopped VM's state to a file: its devices, and its memory where that isn't a file of its own.

import { chmod, chown } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { DiskOwner } from '../host/disk-access';
import { migrationCompleted } from './boot';
import type { QmpClient } from './qmp-client';

/** QEMU's own limit (1 Gbit/s) is meant for networks. */
const bytesPerSecond = 16 * 2 ** 30;

/**
 * Stops the VM and saves it. `owner` is the user that QEMU runs as. Rejects when QEMU or the disk fails, with the file
 * half written and the VM stopped: `cont` has it go on, whatever came of it.
 */
export async function saveState(
  guest: { runDir: string; qmp: QmpClient },
  statePath: string,
  options: {
    owner: DiskOwner | undefined;
    withMemory: boolean;
    timeoutMs: number;
    /** What else is to be saved of a moment when the vCPUs are stopped. */
    whenStopped?: () => Promise<void>;
  },
): Promise<void> {
  const { qmp } = guest;
  const socketPath = join(guest.runDir, 'save.sock');
  const server = createServer();
  const saved = new Promise<void>((resolve, reject) => {
    server.on('connection', (socket) => {
      pipeline(socket, createWriteStream(statePath, { mode: 0o600, flush: true })).then(resolve, reject);
    });
    server.on('error', reject);
  });
  saved.catch(() => undefined); // awaited below, unless the migration fails first
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  try {
    // QEMU connects to it, and nobody else may.
    await chmod(socketPath, 0o600);
    if (options.owner !== undefined) await chown(socketPath, options.owner.uid, options.owner.gid);
    await qmp.execute('stop');
    await options.whenStopped?.();
    await qmp.execute('migrate-set-capabilities', {
      capabilities: [
        { capability: 'x-ignore-shared', state: !options.withMemory },
        { capability: 'events', state: true },
      ],
    });
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': bytesPerSecond });
    const completed = migrationCompleted(qmp, options.timeoutMs);
    completed.catch(() => undefined);
    await qmp.execute('migrate', { uri: `unix:${socketPath}` });
    // A disk that is full ends the stream first, and tells more than QEMU does.
    await Promise.race([completed, saved.then(() => completed)]);
    await saved;
  } finally {
    server.close();
  }
}
