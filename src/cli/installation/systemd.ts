// The service of the Debian package, where systemd runs.

import { existsSync } from 'node:fs';
import { DaemonError } from '../../errors';
import { readPackaging } from '../../versions';
import { runShown } from './debian-packages';

/** Whether systemd has the daemon: then it starts and ends it. */
export function isManagedBySystemd(): boolean {
  return readPackaging() === 'debian' && existsSync('/run/systemd/system');
}

/** Throws where to look. */
export async function systemctl(verb: 'start' | 'stop' | 'restart', ...units: string[]): Promise<void> {
  if ((await runShown('systemctl', [verb, ...units])) !== 0)
    throw new DaemonError('Internal', `systemctl ${verb} ${units.join(' ')} failed: journalctl -u caisson`);
}
