// Tells systemd how the daemon is doing (sd_notify(3)). Node has no datagram sockets of the unix family, so its own
// tool does it; the unit must say NotifyAccess=all.

import { execFile } from 'node:child_process';
import { errorMessage } from '../errors';
import { helperEnvironment } from '../host/helper-environment';
import { log } from '../log';

/** `states` as `READY=1`. Resolves when it has been said; does nothing where nobody listens. Never rejects. */
export function notifySystemd(...states: readonly string[]): Promise<void> {
  if ((process.env['NOTIFY_SOCKET'] ?? '') === '') return Promise.resolve();
  return new Promise((resolve) => {
    const env = { ...helperEnvironment(), NOTIFY_SOCKET: process.env['NOTIFY_SOCKET'] };
    execFile('systemd-notify', [`--pid=${process.pid}`, ...states], { timeout: 5000, env }, (error) => {
      if (error !== null) log.warn('systemd could not be told', { states, error: errorMessage(error) });
      resolve();
    });
  });
}
