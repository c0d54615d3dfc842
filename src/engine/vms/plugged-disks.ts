// Disks of a VM, plugged and unplugged while it runs.

import { whenOver } from '../../async/deadline';
import { pause } from '../../async/pause';
import { processClock } from '../../async/process-clock';
import { DaemonError, isDaemonError } from '../../errors';
import { diskIds } from '../../translate/pod-to-vm';
import type { Vm, VmDisk } from '../../vm/contract/vm';
import type { RunningPod } from './running-pod';

/** How long a VM that comes to its end may hold on to the disk of a volume that the next one is to have. */
const freeingTimeoutMs = 10_000;
const triesEveryMs = 50;

/** Plugs what is not there yet, and says what that was. Throws Conflict when another VM has one of them, and keeps it. */
export async function plugMissing(vm: Vm, disks: readonly VmDisk[]): Promise<string[]> {
  const known = vm.pluggedDisks();
  const missing = disks.filter(({ id }) => !known.has(id));
  if (missing.length > 0) await plug(vm, missing);
  return missing.map(({ id }) => id);
}

async function plug(vm: Vm, disks: readonly VmDisk[]): Promise<void> {
  const over = new AbortController();
  let stop: (() => void) | undefined;
  try {
    for (;;) {
      const held = await conflictOf(vm.plugDisks(disks));
      if (held === undefined) return;
      stop ??= whenOver(freeingTimeoutMs, processClock(process.pid), () => over.abort());
      if (await pause(triesEveryMs, over.signal)) continue;
      const reason =
        'a volume of the container is a disk, which one virtual machine has at a time: stop the container that has it, or join that one with --network container:NAME';
      throw new DaemonError('Conflict', reason, { cause: held });
    }
  } finally {
    stop?.();
  }
}

async function conflictOf(plugging: Promise<unknown>): Promise<DaemonError | undefined> {
  try {
    await plugging;
    return undefined;
  } catch (error) {
    if (isDaemonError(error, 'Conflict')) return error;
    throw error;
  }
}

/** Brings the VM's disks to exactly these. */
export async function plugExactly(vm: Vm, disks: readonly VmDisk[]): Promise<void> {
  const wanted = new Set(disks.map(({ id }) => id));
  const useless = [...vm.pluggedDisks().keys()].filter((id) => !wanted.has(id));
  if (useless.length > 0) await vm.unplugDisks(useless);
  await plugMissing(vm, disks);
}

/** Unplugs those of these disks that no container of the Pod uses when it comes to that. */
export function unplugUnused(
  { vm, disks, members }: Pick<RunningPod, 'vm' | 'disks' | 'members'>,
  ids: readonly string[],
): Promise<void> {
  return disks.run(() => {
    const used = new Set([...members.values()].flatMap(diskIds));
    return vm.unplugDisks(ids.filter((id) => !used.has(id)));
  });
}
