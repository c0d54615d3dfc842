// What `caisson top` shows: VMs as their processes are seen from outside, and the containers in them as Docker's stats tell.

import { readFile } from 'node:fs/promises';
import type { CaissonInfo, PodContainerStatus, PodSummary, VmSummary } from '../../api/v1/types';
import type { ApiClient } from './api-client';

/** /proc counts in these, on every Linux that runs here. */
const ticksPerSecond = 100;
const pageBytes = 4096;

export interface Usage {
  /** Of one CPU; undefined until there are two looks, and of a VM that is not on this machine. */
  cpuPercent: number | undefined;
  /** Undefined where it can't be seen. */
  memoryBytes: number | undefined;
}

export interface TopContainer extends Usage {
  id: string;
  name: string;
  image: string;
  state: string;
  memoryLimitBytes: number | undefined;
  pids: number | undefined;
}

export interface TopVm extends Usage {
  id: string;
  state: string;
  purpose: string;
  pod: string;
  sizeBytes: number;
  cpus: number;
  containers: TopContainer[];
}

export interface TopSample {
  /** RFC 3339. */
  time: string;
  version: string;
  accelerator: string;
  vms: TopVm[];
  /** Those that run on no VM now. */
  stopped: number;
}

interface StatsReply {
  cpu_stats?: { cpu_usage?: { total_usage?: number } };
  memory_stats?: { usage?: number; limit?: number; stats?: { inactive_file?: number } };
  pids_stats?: { current?: number };
}

/** Looks again and again; CPU is what was used since the look before. */
export class TopSampler {
  readonly #client: ApiClient;
  /** CPU seconds so far, and when, in ms. */
  readonly #before = new Map<string, { seconds: number; at: number }>();

  readonly #now: () => number;

  /** `now` is in ms. */
  constructor(client: ApiClient, now = () => performance.now()) {
    this.#now = now;
    this.#client = client;
  }

  async look(): Promise<TopSample> {
    const [info, vms, pods] = await Promise.all([
      this.#client.call<CaissonInfo>('GET', '/v1/info'),
      this.#client.call<VmSummary[]>('GET', '/v1/vms'),
      this.#client.call<PodSummary[]>('GET', '/v1/pods'),
    ]);
    const shown = await Promise.all(vms.map((vm) => this.#vm(vm, pods)));
    return {
      time: new Date().toISOString(),
      version: info.version,
      accelerator: info.accelerator.kind,
      vms: shown,
      stopped: pods.flatMap(({ vmId, containers }) => (vmId === undefined ? containers : [])).length,
    };
  }

  async #vm(vm: VmSummary, pods: readonly PodSummary[]): Promise<TopVm> {
    const members = pods.filter(({ vmId }) => vmId === vm.id).flatMap(({ containers }) => containers);
    const [usage, containers] = await Promise.all([
      this.#client.host.startsWith('unix://') ? this.#process(vm) : nothingSeen,
      Promise.all(members.map((member) => this.#container(member))),
    ]);
    return {
      id: vm.id,
      state: vm.unanswered === true ? 'no answer' : vm.state,
      purpose: vm.purpose,
      pod: vm.podName ?? '',
      sizeBytes: vm.memoryBytes,
      cpus: vm.cpus,
      ...usage,
      containers,
    };
  }

  async #process({ id, pid }: VmSummary): Promise<Usage> {
    const [stat, memory] = await Promise.all([procText(pid, 'stat'), procText(pid, 'statm')]);
    if (stat === undefined || memory === undefined) return nothingSeen;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    const [, resident = 0, shared = 0] = memory.split(' ').map(Number);
    // the template's pages are everybody's; these are its own
    return {
      cpuPercent: this.#percent(id, seconds),
      memoryBytes: Math.max(0, resident - shared) * pageBytes,
    };
  }

  async #container(member: PodContainerStatus): Promise<TopContainer> {
    const { id, dockerName, image, status: state } = member;
    const stats = state === 'running' ? await this.#stats(id) : {};
    const { cpu_stats: cpu, memory_stats: memory = {}, pids_stats: pids } = stats;
    const used = cpu?.cpu_usage?.total_usage;
    return {
      id,
      name: dockerName,
      image,
      state,
      cpuPercent: used === undefined ? undefined : this.#percent(id, used / 1e9),
      // as the docker command counts: what the kernel gives back first is left out
      memoryBytes:
        memory.usage === undefined
          ? undefined
          : Math.max(0, memory.usage - (memory.stats?.inactive_file ?? 0)),
      memoryLimitBytes: memory.limit,
      pids: pids?.current,
    };
  }

  async #stats(id: string): Promise<StatsReply> {
    const query = { stream: false, 'one-shot': true };
    return this.#client.call<StatsReply>('GET', `/containers/${id}/stats`, { query }).catch(() => ({})); // it has ended
  }

  #percent(id: string, seconds: number): number | undefined {
    const at = this.#now();
    const before = this.#before.get(id);
    this.#before.set(id, { seconds, at });
    if (before === undefined || at - before.at < 1) return undefined;
    return Math.max(0, ((seconds - before.seconds) / ((at - before.at) / 1000)) * 100);
  }
}

const nothingSeen: Usage = { cpuPercent: undefined, memoryBytes: undefined };

function procText(pid: number, name: string): Promise<string | undefined> {
  return readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => undefined);
}
