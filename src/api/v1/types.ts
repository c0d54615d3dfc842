// Requests and replies of /v1/pods, /v1/vms and /v1/info, as docs/openapi/caisson-v1.yaml describes them. Sizes are in
// bytes, times RFC 3339. What is absent has the default that the comment names.

import type { ContainerCreateBody } from '../../docker/types';

/**
 * What makes a Pod: its containers share one VM, one address on each network, IPC, the host name and, if asked, their
 * processes.
 */
export interface PodTemplate {
  /** As container names: [a-zA-Z0-9][a-zA-Z0-9_.-]+. Unique among Pods. */
  name: string;
  labels?: Record<string, string>;
  /** Said by the client and kept for it; nothing of the engine reads them. */
  annotations?: Record<string, string>;
  /** Default: the Pod's name. */
  hostname?: string;
  domainname?: string;
  dns?: { servers?: string[]; searches?: string[]; options?: string[] };
  /** `name:address`, as `--add-host`, for every container. */
  extraHosts?: string[];
  /** Of the VM: at least this, and at least the sum of what the containers' limits ask for. */
  resources?: { memoryBytes?: number; cpus?: number };
  shareProcessNamespace?: boolean;
  /** For containers whose own HostConfig has none. Default: no. */
  restartPolicy?: {
    name: 'no' | 'always' | 'on-failure' | 'unless-stopped';
    maximumRetryCount?: number;
  };
  /** Default: Docker's default bridge. An empty list: no network but the loopback. */
  networks?: PodNetwork[];
  /** Ports of the Pod's address that are published on the host. */
  portMappings?: PodPortMapping[];
  /** The VM is kept, Idle, when the Pod comes to its end, however that comes. */
  keepVm?: boolean;
  /** The Pod is removed, with its containers and their anonymous volumes, when it comes to its end. */
  autoRemove?: boolean;
  /** At least one. Started in this order, stopped in the opposite one. */
  containers: PodTemplateContainer[];
}

export interface PodNetwork {
  name: string;
  aliases?: string[];
  ipv4Address?: string;
  ipv6Address?: string;
  macAddress?: string;
}

export interface PodPortMapping {
  containerPort: number;
  /** 0 or absent: any free one. */
  hostPort?: number;
  /** Default: tcp. */
  protocol?: 'tcp' | 'udp';
  /** Default: all addresses. */
  hostIp?: string;
}

export interface PodTemplateContainer {
  /** Unique in the Pod. In `docker ps` the container is called `POD-NAME`. */
  name: string;
  /**
   * init: must end with 0 before the next in the list starts, and runs again at each start of the Pod. sidecar: started in
   * its turn among them, and does not keep the Pod alive. main (the default): the Pod runs as long as one of these does.
   */
  role?: PodContainerRole;
  /**
   * Docker's create body, HostConfig included. Labels, network and ports of the Pod are added to it; NetworkMode, and
   * IpcMode and PidMode `container:…`, are refused, as those are the Pod's.
   */
  body: ContainerCreateBody;
}

export type PodContainerRole = 'init' | 'sidecar' | 'main';

/** Created: storage allocated, no VM. Running: on a VM. */
export type PodStateName = 'Created' | 'Running';

/** What the state alone does not say. `''`: nothing. */
export type PodDetail = '' | 'Starting' | 'Stopping' | 'Paused' | 'Succeeded' | 'Failed';

export interface PodSummary {
  id: string;
  name: string;
  /** `pod`: has a record. `label`: containers with the label `caisson.pod` and nothing more. `container`: one of Docker's. */
  kind: 'pod' | 'label' | 'container';
  createdAt: string;
  state: PodStateName;
  detail: PodDetail;
  /** Of the VM that it runs on. */
  vmId?: string;
  labels: Record<string, string>;
  containers: PodContainerStatus[];
  /** By network, while it runs. */
  addresses: Record<string, { ipv4Address: string; ipv6Address: string; macAddress: string }>;
}

export interface PodContainerStatus {
  id: string;
  /** In the Pod. */
  name: string;
  /** As `docker ps` has it, without the slash. */
  dockerName: string;
  image: string;
  role: PodContainerRole;
  /** Docker's: created, running, paused, restarting, exited, removing, dead. */
  status: string;
  exitCode: number;
  restartCount: number;
  startedAt: string;
  finishedAt: string;
  /** Why its last start failed, or its VM was lost. */
  error: string;
}

export interface PodInspect extends PodSummary {
  /** Absent for Pods without a record. */
  template?: PodTemplate;
  /** What the VM has, while it runs. */
  resources?: { memoryBytes: number; cpus: number };
}

export interface PodCreateReply {
  id: string;
  name: string;
  warnings: string[];
}

export interface PodStartRequest {
  /** An Idle VM (an unambiguous prefix of its id will do) instead of any. */
  vmId?: string;
}

/** Answer of start and replace. */
export interface PodStartReply {
  id: string;
  vmId: string;
}

export interface PodStopRequest {
  /** Until SIGKILL, for each container. Default: the container's own, else 10. Negative: for ever. */
  timeoutSeconds?: number;
  /** The VM becomes Idle and waits for `start` with its id, or `vm rm`. */
  keepVm?: boolean;
}

export interface PodStopReply {
  id: string;
  /** The VM that was kept. */
  keptVmId?: string;
}

/** Exactly one of `pod` and `template`. */
export interface PodReplaceRequest {
  /** Name or id of a Created Pod. */
  pod?: string;
  /** A Pod that is made first. */
  template?: PodTemplate;
  timeoutSeconds?: number;
  /** The new Pod gets the addresses and MACs of the old one on the networks that both are on. */
  keepAddress?: boolean;
}

export interface PodWaitReply {
  /** 0 when every main container ended with 0; else the first other one, in the template's order. */
  exitCode: number;
  containers: { name: string; exitCode: number; error: string }[];
}

export interface PodStats {
  id: string;
  name: string;
  containers: { name: string; id: string; /** Docker's stats object. */ stats: object }[];
}

export interface VmRunRequest {
  /** Default, and least: those of `factory.default` in `info`. Rounded up. */
  memoryBytes?: number;
  cpus?: number;
}

export interface VmSummary {
  id: string;
  state: 'Idle' | 'Associated';
  /** Of the Pod it is associated with. */
  podId?: string;
  podName?: string;
  /** pool: waits for the next Pod. kept: a user asked for it, and it stays until it is removed. pod: runs one. */
  purpose: 'pool' | 'kept' | 'pod';
  /** A Pod has run in it: it is given to nobody who doesn't name it. */
  used: boolean;
  memoryBytes: number;
  cpus: number;
  /** Of QEMU, on the host. */
  pid: number;
  /** An earlier daemon has left it, and it has not answered this one yet: this is what its record says. */
  unanswered?: true;
}

export interface VmInspect extends VmSummary {
  disks: string[];
  nics: { index: number; tap: string }[];
}

export interface CaissonInfo {
  version: string;
  accelerator: { kind: 'kvm' | 'tcg'; reason: string };
  vms: { total: number; idle: number; kept: number; associated: number };
  pods: { total: number; created: number; running: number };
  factory: {
    poolSize: number;
    /** Of VMs that the pool keeps ready. */
    default: { memoryBytes: number; cpus: number };
    /** The template is there: VMs are cloned, not booted. */
    template: boolean;
    /** Other sizes that have a template of their own. */
    templates: { memoryBytes: number; cpus: number }[];
  };
}

export interface PlayReply {
  workloads: WorkloadStatus[];
  warnings: string[];
}

/** What was played of one manifest. */
export interface WorkloadStatus {
  kind: string;
  name: string;
  /** `ended` once its Pods, or its Job, have; `stopped`: it was not to be started. */
  state: 'active' | 'ended' | 'stopped';
  reason: string;
  /** Of a Job. */
  failures: number;
  pods: { name: string; phase: string; containers: ContainerReport[] }[];
}

export interface ContainerReport {
  name: string;
  ready: boolean;
  restartCount: number;
  /** What its probes said last, in this run of it. Absent without probes, and before the first. */
  probes?: ProbeReport[];
}

export interface ProbeReport {
  kind: 'startup' | 'liveness' | 'readiness';
  /** RFC 3339. */
  at: string;
  /** Empty: it succeeded. */
  failure: string;
  /** In a row, this one among them. */
  count: number;
}

/** As Docker's. */
export interface ErrorReply {
  message: string;
}
