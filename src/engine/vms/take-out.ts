// Taking containers out of a VM that goes on: the one order in which that is done, whoever left them there.

import { writeBackTimeoutMs } from '../../vm/contract/agent';
import { unplugUnused } from './plugged-disks';
import type { RunningPod } from './running-pod';
import { tunnelPrefix } from './socket-tunnels';

/** A container whose processes are gone. */
export interface Leaving {
  id: string;
  /** What it wrote is brought to its disk first. */
  keepData: boolean;
}

/**
 * Has the guest unmount each and close its sockets, unplugs these disks, but for those of the Pod's members, and shares
 * nothing of theirs any more. Throws at the first step that fails; what comes after it stays in the VM then.
 */
export async function takeOut(
  pod: Pick<RunningPod, 'vm' | 'disks' | 'members'>,
  leaving: readonly Leaving[],
  disks: readonly string[],
): Promise<void> {
  const { vm } = pod;
  for (const { id, keepData } of leaving) {
    await vm.agent.request('container.remove', { id, sync: keepData }, { timeoutMs: writeBackTimeoutMs });
    await vm.agent.request('tunnel.close', { prefix: tunnelPrefix(id) });
  }
  await unplugUnused(pod, disks);
  // What is at their paths when they start again is another file perhaps.
  for (const { id } of leaving) await vm.unshareFiles(tunnelPrefix(id));
}
