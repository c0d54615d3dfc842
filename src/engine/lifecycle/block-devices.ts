// Paths of the host that limits of block I/O and `--device` name: Docker looks at them when the container starts.

import { stat } from 'node:fs/promises';
import { runcRefusal } from '../../docker/runtime-text';
import type { HostConfig } from '../../docker/types';
import { DaemonError } from '../../errors';

/** Throws Internal in Docker's words for a path that is not there, in the runtime's for what is no block device. */
export async function requireBlockDevices(hostConfig: HostConfig): Promise<void> {
  const paths = [
    ...(hostConfig.BlkioWeightDevice ?? []),
    ...(hostConfig.BlkioDeviceReadBps ?? []),
    ...(hostConfig.BlkioDeviceWriteBps ?? []),
    ...(hostConfig.BlkioDeviceReadIOps ?? []),
    ...(hostConfig.BlkioDeviceWriteIOps ?? []),
  ].map(({ Path }) => Path ?? '');
  for (const path of new Set(paths)) await requireBlockDevice(path);
}

async function requireBlockDevice(path: string): Promise<void> {
  let isBlockDevice: boolean;
  try {
    isBlockDevice = (await stat(path)).isBlockDevice();
  } catch (cause) {
    throw new DaemonError('Internal', `stat ${path}: no such file or directory`, { cause });
  }
  if (isBlockDevice) return;
  throw runcRefusal(
    'unable to start container process: error during container init: ' +
      `error setting cgroup config for procHooks process: ${path}: no such device`,
  );
}

/** Throws Internal in Docker's words for what `--device` names and is there, but is no device. Others are the VM's to know. */
export async function requireDeviceNodes({ Privileged, Devices }: HostConfig): Promise<void> {
  if (Privileged === true) return;
  for (const { PathOnHost: path = '' } of Devices ?? []) {
    const found = await stat(path).catch(() => undefined);
    const isDevice = found === undefined || found.isCharacterDevice() || found.isBlockDevice();
    // a directory of devices means all of them
    if (isDevice || (found.isDirectory() && `${path}/`.startsWith('/dev/'))) continue;
    throw new DaemonError(
      'Internal',
      `error gathering device information while adding custom device "${path}": not a device node`,
    );
  }
}
