// Disks of a running VM: QMP commands that plug and unplug LUNs of the one SCSI controller. Names come from the LUN:
// ids of containers are longer than QEMU allows.

import { within } from '../../async/deadline';
import { DaemonError } from '../../errors';
import type { VmDisk } from '../contract/vm';
import { scsiController } from './command-line';
import { QmpError, type QmpClient, type QmpCommand } from './qmp-client';

/** A guest lets go of a disk in milliseconds of its own. */
const unplugTimeoutMs = 5000;

export function deviceId(lun: number): string {
  return `disk${lun}`;
}

export function formatNode(lun: number): string {
  return `format${lun}`;
}

function fileNode(lun: number): string {
  return `file${lun}`;
}

/** blockdev nodes and device of one disk. */
export function plugCommands(disk: VmDisk, lun: number): QmpCommand[] {
  const cache = { direct: false, 'no-flush': !disk.durable };
  const access = disk.readOnly
    ? { 'read-only': true }
    : { 'read-only': false, discard: 'unmap', 'detect-zeroes': 'unmap' };
  return [
    {
      execute: 'blockdev-add',
      arguments: {
        driver: 'file',
        'node-name': fileNode(lun),
        filename: disk.hostPath,
        aio: 'threads',
        // Layers are shared by many VMs; a container's own disk has one user, and QEMU sees to that.
        ...(disk.readOnly ? { locking: 'off' } : {}),
        cache,
        ...access,
      },
    },
    {
      execute: 'blockdev-add',
      arguments: { driver: disk.format, 'node-name': formatNode(lun), file: fileNode(lun), cache, ...access },
    },
    {
      execute: 'device_add',
      arguments: {
        driver: 'scsi-hd',
        id: deviceId(lun),
        bus: `${scsiController}.0`,
        channel: 0,
        'scsi-id': 0,
        lun,
        drive: formatNode(lun),
      },
    },
  ];
}

/**
 * Takes these LUNs out, also ones that are plugged by half or not at all. Rejects with Unavailable when the guest holds
 * on to one.
 */
export async function removeDisks(qmp: QmpClient, luns: readonly number[]): Promise<void> {
  if (luns.length === 0) return;
  const devices = luns.map(deviceId);
  const deleted = waitForDeletion(qmp, devices);
  deleted.gone.catch(() => undefined);
  const answers = await Promise.allSettled(devices.map((id) => qmp.execute('device_del', { id })));
  answers.forEach((answer, index) => {
    if (answer.status === 'rejected') deleted.forget(devices[index] ?? '', answer.reason as Error); // QmpClient rejects with nothing else
  });
  await deleted.gone;
  const nodes = luns.flatMap((lun) => [formatNode(lun), fileNode(lun)]);
  const removals = nodes.map((node) => qmp.execute('blockdev-del', { 'node-name': node }));
  for (const removal of await Promise.allSettled(removals)) {
    if (removal.status === 'rejected' && !isMissing(removal.reason)) throw removal.reason;
  }
}

/** What QEMU says of a disk that another one writes. */
export function isHeldByAnother(error: unknown): boolean {
  return error instanceof QmpError && /failed to get .* lock/i.test(error.message);
}

/** What QEMU says of a device or node that was never there. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof QmpError &&
    (error.errorClass === 'DeviceNotFound' || /failed to find node/i.test(error.message))
  );
}

/** `gone` resolves when each device was deleted or forgotten; `forget` rejects it for any other refusal. */
function waitForDeletion(
  qmp: QmpClient,
  devices: readonly string[],
): { gone: Promise<void>; forget: (device: string, refusal: Error) => void } {
  const left = new Set(devices);
  let stop = (): void => undefined;
  let forget: (device: string, refusal: Error) => void = () => undefined;
  const deleted = new Promise<void>((resolve, reject) => {
    const done = (device: string): void => {
      left.delete(device);
      if (left.size === 0) resolve();
    };
    stop = qmp.onEvent((event) => {
      if (event.event === 'DEVICE_DELETED') done(String(event.data['device']));
    });
    forget = (device, refusal) => {
      if (isMissing(refusal)) done(device);
      else reject(refusal);
    };
    void qmp.closed.then(() => reject(new DaemonError('Unavailable', 'QEMU is gone')));
  });
  const overdue = (): Error =>
    new DaemonError(
      'Unavailable',
      `the guest has not let go of ${[...left].join(', ')} for ${unplugTimeoutMs} ms`,
    );
  return { gone: within(deleted, unplugTimeoutMs, { overdue, clock: qmp.clock }).finally(stop), forget };
}
