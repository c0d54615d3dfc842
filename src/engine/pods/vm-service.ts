// VmService and the numbers of `info`: VMs as such, beside the Pods that are on them.

import { setTimeout as delay } from 'node:timers/promises';
import { DaemonError } from '../../errors';
import type { VmService } from '../../api/v1/backend';
import type { CaissonInfo, VmInspect, VmRunRequest, VmSummary } from '../../api/v1/types';
import type { Vm, VmPool } from '../../vm/contract/vm';
import type { PodDirectory } from './directory';
import { findVm, unansweredSummary, vmInspect, vmSummary } from './view';

/** Between two looks at the console of a VM, which does not tell when there is something new. */
const consolePollMs = 500;

export class EngineVms implements VmService {
  readonly #vms: VmPool;
  readonly #directory: PodDirectory;

  constructor(vms: VmPool, directory: PodDirectory) {
    this.#vms = vms;
    this.#directory = directory;
  }

  async run({ memoryBytes, cpus }: VmRunRequest): Promise<VmInspect> {
    requireCount('memoryBytes', memoryBytes);
    requireCount('cpus', cpus);
    const vm = await this.#vms.hold({
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(cpus === undefined ? {} : { cpus }),
    });
    return vmInspect(this.#directory, vm);
  }

  list(): VmSummary[] {
    const answered = this.#vms.list().map((vm) => vmSummary(this.#directory, vm));
    const others = this.#vms.unanswered.map((vm) => unansweredSummary(this.#directory, vm));
    return [...answered, ...others.filter((vm) => vm !== undefined)];
  }

  inspect(ref: string): VmInspect {
    return vmInspect(this.#directory, this.#find(ref));
  }

  async remove(ref: string, options: { force?: boolean } = {}): Promise<void> {
    const vm = this.#find(ref);
    const { podName, podId } = vmSummary(this.#directory, vm);
    if (podId !== undefined && options.force !== true) {
      throw new DaemonError(
        'Conflict',
        `VM ${vm.id} is in use by Pod ${podName ?? podId}: stop that before, or force the removal`,
      );
    }
    await vm.end();
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is a rejection
  async console(
    ref: string,
    options: { follow: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<Buffer>> {
    return consoleOf(this.#find(ref), options.follow, signal);
  }

  /** `info`'s part that is about VMs. */
  facts(): Pick<CaissonInfo, 'accelerator' | 'vms' | 'factory'> {
    const { accelerator, acceleratorReason, template, factory } = this.#vms.status();
    const vms = this.list();
    const idle = vms.filter(({ state }) => state === 'Idle');
    return {
      accelerator: { kind: accelerator, reason: acceleratorReason },
      vms: {
        total: vms.length,
        idle: idle.length,
        kept: idle.filter(({ purpose }) => purpose === 'kept').length,
        associated: vms.length - idle.length,
      },
      factory: { ...factory, template },
    };
  }

  #find(ref: string): Vm {
    return findVm(this.#vms, ref);
  }
}

function requireCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return;
  throw new DaemonError('InvalidParameter', `${name}: ${value} is no whole number above zero`);
}

/** Ends with the VM. */
async function* consoleOf(vm: Vm, follow: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
  const over = new AbortController();
  void vm.ended.then(() => over.abort());
  const stop = AbortSignal.any([signal, over.signal]);
  let shown = '';
  for (;;) {
    const text = await vm.readConsole();
    const fresh = freshPart(shown, text);
    if (fresh !== '') yield Buffer.from(fresh);
    shown = text;
    if (!follow || stop.aborted) return;
    await delay(consolePollMs, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** What `text`, the tail of everything, has beyond `shown`, the tail of before. */
function freshPart(shown: string, text: string): string {
  if (text.startsWith(shown)) return text.slice(shown.length);
  for (let start = 1; start < shown.length; start++) {
    if (text.startsWith(shown.slice(start))) return text.slice(shown.length - start);
  }
  return text;
}
