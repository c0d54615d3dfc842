// Ending a VM: the one order in which that is done.

import { log } from '../../log';
import { writeBackTimeoutMs } from '../../vm/contract/agent';
import type { Vm } from '../../vm/contract/vm';

/** With `keepData` what was written in the VM is on its disks first, as far as the guest can. Never throws. */
export async function endVm(vm: Vm, { keepData }: { keepData: boolean }): Promise<void> {
  if (keepData) {
    try {
      await vm.agent.request('shutdown', {}, { timeoutMs: writeBackTimeoutMs });
    } catch (error) {
      log.warn('guest did not shut down in order', { vmId: vm.id, error });
    }
  }
  try {
    await vm.end();
  } catch (error) {
    log.error('VM could not be ended', { vmId: vm.id, error });
  }
}
