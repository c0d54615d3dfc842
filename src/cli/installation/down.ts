// `caisson down` without a file: the daemon's end. Containers go on in their VMs, and the next daemon finds them.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { VmSummary } from '../../api/v1/types';
import { errorMessage } from '../../errors';
import { killProcess } from '../../vm/host/host-process';
import { liveVmRecords } from '../../vm/host/vm-record';
import { projectDir } from '../../versions';
import { ApiClient } from '../client/api-client';
import { answers, stopDaemonProcess } from './daemon-process';
import { placesOf, type Places } from './places';
import { isManagedBySystemd, systemctl } from './systemd';
import { readLink } from './up';

const pollMs = 200;
/** For VMs to end in order, after their containers. */
const vmsTimeoutMs = 120_000;

/** With `containers`: these are stopped first, and no VM is left. */
export async function takeDown({ containers }: { containers: boolean }): Promise<void> {
  const places = placesOf();
  // only what up has put there
  if (readLink(places.commandLink) === join(projectDir, 'bin', 'caisson')) rmSync(places.commandLink);
  if (containers) await stopContainers(places);
  if (isManagedBySystemd()) {
    await systemctl('stop', 'caisson.socket', 'caisson.service');
    process.stderr.write('caisson: stopped\n');
  } else {
    const wasThere = await stopDaemonProcess(places);
    process.stderr.write(`caisson: ${wasThere ? 'stopped' : 'not running'}\n`);
  }
  if (containers) await endVms(places);
}

/** As `docker stop` does, all at once. What a restart policy would start again is stopped as well. */
async function stopContainers({ socket }: Places): Promise<void> {
  if (!(await answers(socket))) return;
  const client = new ApiClient(`unix://${socket}`);
  const { docker } = client;
  const running = await docker.listContainers();
  if (running.length > 0) process.stderr.write(`caisson: stopping ${counted(running.length, 'container')}\n`);
  await Promise.all(
    running.map(({ Id }) =>
      docker
        .getContainer(Id)
        .stop()
        .catch((error: unknown) => process.stderr.write(`caisson: ${errorMessage(error)}\n`)),
    ),
  );
  await vmsGone(client);
}

/**
 * A container's VM ends a moment after it, and a user's own VMs when they are removed. A daemon that has none left takes its network
 * along. What does not end in time is killed when the daemon is gone.
 */
async function vmsGone(client: ApiClient): Promise<void> {
  const until = Date.now() + vmsTimeoutMs;
  while (Date.now() < until) {
    const left = (await client.call<VmSummary[]>('GET', '/v1/vms')).filter(
      ({ purpose }) => purpose !== 'pool',
    );
    if (left.length === 0) return;
    const kept = left.filter(({ purpose }) => purpose === 'kept');
    await Promise.all(
      kept.map(({ id }) =>
        client.call('DELETE', `/v1/vms/${id}`, { query: { force: true } }).catch(() => undefined),
      ),
    );
    await pause(pollMs);
  }
}

/** What is left of VMs whose daemon is gone: nobody could speak to them any more. */
async function endVms({ runDir }: Places): Promise<void> {
  const left = await liveVmRecords(join(runDir, 'vms'));
  await Promise.all(left.map(({ process: vm }) => killProcess(vm)));
  if (left.length > 0) process.stderr.write(`caisson: ended ${counted(left.length, 'virtual machine')}\n`);
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
