// system/: what the daemon says of itself: its id, its drivers, what it takes on disk.
//
// `docker info` and `docker version`: the truth about this daemon in the members Docker has for it.

import { readFileSync } from 'node:fs';
import * as os from 'node:os';
import type { SystemInfo, SystemVersion } from '../../docker/types';
import type { VmPool } from '../../vm/contract/vm';
import { graphDriverName } from './graph-driver';
import { daemonInfo, daemonVersion, type DaemonFacts } from '../../semantics/system/daemon-info';
import type { SystemVersions } from '../../versions';

export interface InfoSources extends DaemonFacts {
  id: string;
  versions: SystemVersions;
  vmStatus: ReturnType<VmPool['status']>;
}

export function systemInfo(sources: InfoSources): SystemInfo {
  const { config, versions, vmStatus } = sources;
  const release = osRelease();
  return {
    ...daemonInfo(sources),
    ID: sources.id,
    Driver: graphDriverName,
    DriverStatus: driverStatus(sources),
    SwapLimit: true,
    CPUSet: true,
    PidsLimit: true,
    CgroupDriver: 'cgroupfs',
    // What a container's `uname -r` says: the guest's kernel.
    KernelVersion: versions.guestKernel,
    OperatingSystem: release['PRETTY_NAME'] ?? os.type(),
    OSVersion: release['VERSION_ID'] ?? '',
    Architecture: os.machine(),
    NCPU: os.availableParallelism(),
    MemTotal: os.totalmem(),
    DockerRootDir: config.dataRoot,
    // The name clients ask for; what runs is the agent in a VM.
    Runtimes: { runc: { path: 'caisson-agent' } },
    InitBinary: 'docker-init',
    SecurityOptions: [
      `name=seccomp,profile=${config.containerDefaults.seccompProfile?.path ?? 'default'}`,
      'name=cgroupns',
    ],
    Warnings: warnings(vmStatus),
  };
}

function driverStatus({ vmStatus, versions, config }: InfoSources): [string, string][] {
  return [
    ['Layers', 'squashfs (lz4), one read-only disk each'],
    ['Writable Disks', 'sparse ext4'],
    ['Accelerator', `${vmStatus.accelerator}: ${vmStatus.acceleratorReason}`],
    ['QEMU', versions.qemu],
    ['Template', vmStatus.template ? 'ready' : 'none: VMs boot'],
    ['Pool', `${vmStatus.idle} idle of ${config.poolSize}`],
    ['VMs with a Pod', String(vmStatus.associated)],
  ];
}

function warnings({ accelerator, acceleratorReason }: InfoSources['vmStatus']): string[] | null {
  if (accelerator === 'kvm') return null;
  return [`WARNING: containers run without hardware virtualization: ${acceleratorReason}`];
}

/** Members of os-release(5). */
function osRelease(): Record<string, string> {
  let text: string;
  try {
    text = readFileSync('/etc/os-release', 'utf8');
  } catch {
    return {};
  }
  return Object.fromEntries(
    [...text.matchAll(/^([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/gm)].map(([, name = '', double, single, bare]) => [
      name,
      double ?? single ?? bare ?? '',
    ]),
  );
}

export function systemVersion(versions: SystemVersions, experimental: boolean): SystemVersion {
  return daemonVersion(versions, { kernel: versions.guestKernel, experimental }, [
    { Name: 'QEMU', Version: versions.qemu },
    { Name: 'Guest kernel', Version: versions.guestKernel },
    { Name: 'Guest agent', Version: versions.agentBuild },
  ]);
}
