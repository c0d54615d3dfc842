// translate/: container, Pod, VM and guest, one in terms of another; pure.
//
// The Pod: what Docker's containers are translated to, and from which VM and guest are derived. A Docker container is
// a Pod with one container; nothing here assumes one.

import type {
  GuestCgroup,
  GuestDevice,
  GuestDeviceRule,
  GuestMount,
  SharedNamespace,
} from '../vm/contract/protocol';

export interface PodSpec {
  /** Id of the Pod; for a Docker container the container's own id. */
  id: string;
  hostname: string;
  domainname: string;
  /** Pod-wide sysctls (net.*, kernel.shm*, …). */
  sysctls: Record<string, string>;
  /** Enough for the sum of the containers' limits; absent: the default. */
  memoryBytes?: number;
  cpus?: number;
  sharePidNamespace: boolean;
  containers: PodContainerSpec[];
}

export interface PodContainerSpec {
  id: string;
  process: {
    args: string[];
    env: string[];
    cwd: string;
    user: string;
    additionalGroups: string[];
    terminal: boolean;
    openStdin: boolean;
    capabilities: string[];
    noNewPrivileges: boolean;
    rlimits: { type: string; soft: number; hard: number }[];
    oomScoreAdj: number;
    seccomp: 'default' | 'unconfined' | Record<string, unknown>;
  };
  init: boolean;
  privileged: boolean;
  readonlyRootfs: boolean;
  pidNamespace: SharedNamespace;
  ipcNamespace: SharedNamespace;
  utsNamespace: 'pod' | 'vm' | 'container';
  /** With a UTS namespace of its own. */
  hostname?: string;
  cgroupNamespace: 'container' | 'vm';
  mounts: GuestMount[];
  devices: GuestDevice[];
  deviceRules: GuestDeviceRule[];
  maskedPaths: string[];
  readonlyPaths: string[];
  cgroup: GuestCgroup;
  /** As GuestContainerSpec has it. */
  blockIo?: GuestCgroup;
  sysctls: Record<string, string>;
}

/** Of a Pod that was made for one container. */
export function onlyContainer(pod: Pick<PodSpec, 'id' | 'containers'>): PodContainerSpec {
  const [container] = pod.containers;
  if (container === undefined) throw new RangeError(`Pod ${pod.id} has no container`);
  return container;
}
