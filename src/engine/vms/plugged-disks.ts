// Disks of a VM, plugged and unplugged while it runs.

import { diskIds } from '../../translate/pod-to-vm';
import type { Vm, VmDisk } from '../../vm/contract/vm';
import type { RunningPod } from './running-pod';

/** Plugs what is not there yet, and says what that was. */
export async function plugMissing(vm: Vm, disks: readonly VmDisk[]): Promise<string[]> {
  const known = vm.pluggedDisks();
  const missing = disks.filter(({ id }) => !known.has(id));
  if (missing.length > 0) await vm.plugDisks(missing);
  return missing.map(({ id }) => id);
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
