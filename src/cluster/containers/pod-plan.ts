// A container's record as a Pod: the supervisor as process 1, the image by digest, and what every area adds. Pure.

import type { V1Container, V1Pod, V1ResourceRequirements, V1SecurityContext } from '@kubernetes/client-node';
import type { ClusterSettings } from '../../config';
import type { ContainerConfig, HostConfig } from '../../docker/types';
import { containerToPod } from '../../translate/container-to-pod';
import type { GuestProcess } from '../../vm/contract/protocol';
import { formatTimestamp } from '../../go/timestamp';
import type { RunFacts } from '../../semantics/containers/container-state';
import type { SupervisorState } from '../supervisor/protocol';
import type { ClusterRecord, PodFacts } from '../contract/cluster-record';
import {
  runMount,
  stateDirectory,
  type PodSocket,
  supervisorDirectory,
  supervisorMount,
  supervisorVolume,
  type PodParts,
} from '../contract/pod-parts';
import { podPlacement } from '../contract/pod-placement';
import { containerIdLabel, idLabelValue } from '../records/container-form';
import { managedBy } from '../records/resource-kinds';

/** On every Pod that is a container. */
export const containerLabel = 'caisson.io/container';
export const mainContainer = 'container';
const runVolume = 'caisson-run';
/** What the supervisor itself needs, whatever the command may have: it becomes the command's user, and reads all files. */
const supervisorCapabilities = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'KILL',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

export function podName(containerId: string): string {
  return `container-${containerId.slice(0, 40)}`;
}

/** How the supervisor starts the command. Throws what Docker refuses only at start. */
export function processOf(record: ClusterRecord, linkEnv: readonly string[]): GuestProcess {
  const [container] = containerToPod({
    id: record.id,
    podId: record.id,
    args: [record.path, ...record.args],
    config: record.config,
    hostConfig: record.hostConfig,
    linkEnv,
  }).containers;
  if (container === undefined) throw new RangeError('a Pod without a container');
  const [rows, columns] = record.hostConfig.ConsoleSize;
  const hasSize = record.config.Tty && rows > 0 && columns > 0;
  return asNodesAllow(
    { ...container.process, ...(hasSize ? { consoleSize: { rows, columns } } : {}) },
    record,
  );
}

/** As far as a Pod may have it that has no more rights than it needs. */
export function asNodesAllow<Process extends Pick<GuestProcess, 'rlimits' | 'seccomp'>>(
  process: Process,
  { hostConfig }: ClusterRecord,
): Process {
  return {
    ...process,
    // Limits that nobody asked for are the node's: to raise them takes more than a Pod should have.
    rlimits: (hostConfig.Ulimits ?? []).length > 0 ? process.rlimits : [],
    // Docker's own profile is the runtime's, which the Pod asks for: so does setting one.
    seccomp: process.seccomp === 'default' ? 'unconfined' : process.seccomp,
  };
}

export function podOf(record: ClusterRecord, settings: ClusterSettings, parts: readonly PodParts[]): V1Pod {
  const { config, hostConfig } = record;
  const gather = <Item>(of: (part: PodParts) => Item[] | undefined): Item[] =>
    parts.flatMap((part) => of(part) ?? []);
  const secrets = [
    ...new Set([
      ...(record.source.secret === undefined ? [] : [record.source.secret]),
      ...gather((part) => part.pullSecrets),
    ]),
  ];
  const hostname = podHostname(config.Hostname);
  const dns = parts.find(({ dnsPolicy, dnsConfig }) => dnsPolicy !== undefined || dnsConfig !== undefined);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(record.id),
      labels: {
        ...managedBy,
        [containerLabel]: 'true',
        [containerIdLabel]: idLabelValue(record.id),
        ...Object.fromEntries(parts.flatMap(({ labels }) => Object.entries(labels ?? {}))),
      },
      annotations: {
        'caisson.io/name': record.name,
        ...Object.fromEntries(parts.flatMap(({ annotations }) => Object.entries(annotations ?? {}))),
      },
    },
    spec: {
      ...podPlacement(settings),
      terminationGracePeriodSeconds: 2,
      ...(hostname === undefined ? {} : { hostname }),
      ...(secrets.length === 0 ? {} : { imagePullSecrets: secrets.map((name) => ({ name })) }),
      ...(dns?.dnsPolicy === undefined ? {} : { dnsPolicy: dns.dnsPolicy }),
      ...(dns?.dnsConfig === undefined ? {} : { dnsConfig: dns.dnsConfig }),
      ...(parts.some(({ hostNetwork }) => hostNetwork === true) ? { hostNetwork: true } : {}),
      hostAliases: [...hostAliases(hostConfig.ExtraHosts), ...gather((part) => part.hostAliases)],
      ...sysctls(record),
      initContainers: [
        supervisorContainer(settings.supervisorImage),
        ...gather((part) => part.initContainers),
      ],
      containers: [
        {
          name: mainContainer,
          image: record.source.reference,
          imagePullPolicy: 'IfNotPresent',
          command: [
            `${supervisorDirectory}/init`,
            isAlone(record) ? 'alone' : 'run',
            stateDirectory,
            ...gather((part) => part.sockets?.map(socketWord)),
          ],
          env: gather((part) => part.environment),
          securityContext: securityContext(record),
          resources: podResources(record),
          volumeMounts: [supervisorMount, runMount(runVolume), ...gather((part) => part.mounts)],
        },
      ],
      volumes: [
        { name: supervisorVolume, emptyDir: {} },
        { name: runVolume, emptyDir: {} },
        ...gather((part) => part.volumes),
      ],
    },
  };
}

/** As process 1 reads it; without names of variables, which Kubernetes would put in. */
function socketWord({ path, mode, uid, gid }: PodSocket): string {
  return [mode.toString(8), uid, gid, path.replaceAll('$(', () => '$$(')].join(':');
}

function supervisorContainer(image: string): V1Container {
  return {
    name: 'supervisor',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['/caisson/init', 'install', supervisorDirectory],
    securityContext: { runAsUser: 0, allowPrivilegeEscalation: false },
    volumeMounts: [{ name: supervisorVolume, mountPath: supervisorDirectory }],
  };
}

/** Undefined for one that Kubernetes refuses: the Pod's own stands in. create-fields.ts warns. */
export function podHostname(name: string): string | undefined {
  const lower = name.toLowerCase();
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(lower) ? lower : undefined;
}

function hostAliases(extraHosts: readonly string[] | null): { ip: string; hostnames: string[] }[] {
  return (extraHosts ?? []).flatMap((entry) => {
    const ip = entry.slice(entry.indexOf(':') + 1);
    const name = extraHostName(entry);
    return ip === 'host-gateway' || name === undefined ? [] : [{ ip, hostnames: [name] }];
  });
}

/** Case is nothing to who looks a name up. Undefined for one that Kubernetes refuses, as create does. */
export function extraHostName(entry: string): string | undefined {
  const name = entry.slice(0, entry.indexOf(':')).toLowerCase();
  return name.length <= 253 && name.split('.').every((label) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(label))
    ? name
    : undefined;
}

function sysctls({ hostConfig }: ClusterRecord): {
  securityContext?: { sysctls: { name: string; value: string }[] };
} {
  const wanted = Object.entries(hostConfig.Sysctls ?? {});
  return wanted.length === 0
    ? {}
    : { securityContext: { sysctls: wanted.map(([name, value]) => ({ name, value })) } };
}

/** Without a network: its processes are in a namespace of their own, though its Pod has one. */
export function isAlone({ config, hostConfig }: WantsNetwork): boolean {
  return hostConfig.NetworkMode === 'none' || config.NetworkDisabled === true;
}

interface WantsNetwork {
  config: Pick<ContainerConfig, 'NetworkDisabled'>;
  hostConfig: Pick<HostConfig, 'NetworkMode'>;
}

function isUnconfined({ hostConfig }: ClusterRecord): boolean {
  return (
    hostConfig.Privileged || (hostConfig.SecurityOpt ?? []).some((option) => /^seccomp[=:]/.test(option))
  );
}

/** To raise limits, or be spared when memory runs out. */
function limiting({ hostConfig }: ClusterRecord): string[] {
  return (hostConfig.Ulimits ?? []).length > 0 || hostConfig.OomScoreAdj < 0 ? ['SYS_RESOURCE'] : [];
}

/** For process 1 to leave the Pod's network. It gives up the first one, by which it could come back. */
function leaving(record: ClusterRecord): string[] {
  return isAlone(record) ? ['SYS_ADMIN', 'NET_ADMIN'] : [];
}

function securityContext(record: ClusterRecord): V1SecurityContext {
  const { hostConfig } = record;
  const { Privileged, ReadonlyRootfs, CapAdd } = hostConfig;
  const added = (CapAdd ?? []).map((name) => name.toUpperCase().replace(/^CAP_/, ''));
  return {
    runAsUser: 0,
    seccompProfile: { type: isUnconfined(record) ? 'Unconfined' : 'RuntimeDefault' },
    ...(ReadonlyRootfs ? { readOnlyRootFilesystem: true } : {}),
    ...(Privileged
      ? { privileged: true }
      : {
          capabilities: {
            add: [...new Set([...supervisorCapabilities, ...limiting(record), ...leaving(record), ...added])],
          },
        }),
  };
}

/** Docker reserves nothing; what it limits is limited here too. */
export function podResources({ hostConfig }: Pick<ClusterRecord, 'hostConfig'>): V1ResourceRequirements {
  const { Memory, MemoryReservation, NanoCpus, CpuQuota, CpuPeriod, CpuShares } = hostConfig;
  const period = CpuPeriod > 0 ? CpuPeriod : 100_000;
  const cpus = NanoCpus > 0 ? NanoCpus / 1e9 : CpuQuota > 0 ? CpuQuota / period : 0;
  const limits = {
    ...(Memory > 0 ? { memory: String(Memory) } : {}),
    ...(cpus > 0 ? { cpu: `${Math.max(1, Math.round(cpus * 1000))}m` } : {}),
  };
  // Without a request of its own Kubernetes takes the limit for one.
  const requests = {
    ...(MemoryReservation > 0
      ? { memory: String(MemoryReservation) }
      : Memory > 0
        ? { memory: String(Math.min(Memory, 2 ** 24)) }
        : {}),
    ...(CpuShares > 0
      ? { cpu: `${Math.max(1, Math.round((CpuShares / 1024) * 1000))}m` }
      : cpus > 0
        ? { cpu: '10m' }
        : {}),
  };
  return {
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
    ...(Object.keys(requests).length > 0 ? { requests } : {}),
  };
}

/** What the record tells of a run, as its supervisor does. */
export function runOf(state: SupervisorState, record: ClusterRecord, pod: PodFacts): RunFacts {
  return {
    vmId: pod.uid,
    pid: state.pid,
    runId: String(state.run),
    channels: { stdout: 0, stderr: 0 },
    startedAt: formatTimestamp(state.startedAt),
    finishedAt: record.state.finishedAt,
    oomKilled: false,
  };
}
