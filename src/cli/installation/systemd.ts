// The service of the Debian package, where systemd runs.

import { existsSync } from 'node:fs';
import { DaemonError } from '../../errors';
import { runTool } from '../../host/run-tool';
import { readPackaging } from '../../versions';
import { runShown } from './debian-packages';

/** Whether systemd has the daemon: then it starts and ends it. */
export function isManagedBySystemd(): boolean {
  return readPackaging() === 'debian' && existsSync('/run/systemd/system');
}

/** Also after units have failed too often to be started again: here a person asks. Throws where to look. */
export async function systemctl(verb: 'start' | 'stop' | 'restart', ...units: string[]): Promise<void> {
  // quietly: of a unit that has never run there is nothing to forget
  if (verb !== 'stop') await runTool('systemctl', ['reset-failed', ...units]).catch(() => undefined);
  if ((await runShown('systemctl', [verb, ...units])) !== 0)
    throw new DaemonError('Internal', `systemctl ${verb} ${units.join(' ')} failed: journalctl -u caisson`);
}
