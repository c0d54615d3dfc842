// A Pod's spec as a PodTemplate and what the controller does around it.

import type { ContainerCreateBody, HostConfig, Mount } from '../docker/types';
import type { PodTemplate } from '../api/v1/types';
import { pullCredentials } from './credentials';
import type { DataObjects } from './data-objects';
import { planEnvironment, resolveEnvironment } from './environment';
import type { PodFields } from './fields';
import { ManifestError } from './manifest-error';
import type { ContainerPlan, PodPlan, VolumePlan } from './plan';
import { planProbes } from './probes';
import { planResources } from './resources';
import type { Container, VolumeMount } from './schema/container';
import type { PodSpec } from './schema/pod';
import { planSecurity } from './security';
import { expandVariables } from './variables';
import { planVolumes } from './volumes';

export interface PodIdentity {
  name: string;
  uid: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
}

export interface PodContext {
  data: DataObjects;
  nodeName: string;
  /** Docker's volume of each claim that is in the file, or of the Pod alone. */
  claims: ReadonlyMap<string, string>;
  /** In front of the container's own. */
  environment?: Readonly<Record<string, string>>;
}

const defaultGraceSeconds = 30;
const defaultRestartPolicy = 'Always';

/** Throws ManifestError; `path` is that of the spec. */
export function planPod(spec: PodSpec, path: string, pod: PodIdentity, context: PodContext): PodPlan {
  const { data, claims, nodeName } = context;
  const fields: PodFields = {
    ...pod,
    nodeName,
    serviceAccountName: spec.serviceAccountName ?? 'default',
  };
  const fsGroup = spec.securityContext?.fsGroup;
  const volumes = planVolumes(spec, path, { data, fields, fsGroup, claims, podName: pod.name });
  const init = spec.initContainers ?? [];
  const all = [...init, ...spec.containers];
  const memoryUsers = countMemoryUsers(all);
  const plans: ContainerPlan[] = [];
  const containers: PodTemplate['containers'] = [];
  const memory = { bytes: 0, nanoCpus: 0 };
  const names = new Set<string>();
  for (const [index, container] of all.entries()) {
    const isInit = index < init.length;
    const place = isInit ? `${path}.initContainers[${index}]` : `${path}.containers[${index - init.length}]`;
    if (names.has(container.name))
      throw new ManifestError(`${place}.name: "${container.name}" is there twice`);
    names.add(container.name);
    if (!isInit && container.restartPolicy !== undefined) {
      throw new ManifestError(`${place}.restartPolicy: only init containers have one`);
    }
    const sidecar = isInit && container.restartPolicy === 'Always';
    if (isInit && !sidecar) refuseProbes(container, place);
    const role = sidecar ? 'sidecar' : isInit ? 'init' : 'main';
    const environment = planEnvironment(container, place, { data, fields, containers: all });
    const variables = resolveEnvironment([
      ...Object.entries(context.environment ?? {}).map(([name, value]) => ({ name, value, literal: true })),
      ...environment,
    ]);
    const resources = planResources(container.resources, `${place}.resources`);
    const { host, identity } = planSecurity(
      container.securityContext,
      spec.securityContext,
      `${place}.securityContext`,
    );
    const mounts = planMounts(container, place, { volumes, variables, memoryUsers });
    if (role !== 'init') {
      memory.bytes += resources.Memory ?? resources.MemoryReservation ?? 0;
      memory.nanoCpus += resources.NanoCpus ?? 0;
    }
    const hostConfig: HostConfig = {
      ...resources,
      ...host,
      ...mounts,
      ...(spec.securityContext?.sysctls === undefined
        ? {}
        : {
            Sysctls: Object.fromEntries(spec.securityContext.sysctls.map(({ name, value }) => [name, value])),
          }),
    };
    containers.push({
      name: container.name,
      role,
      body: containerBody(container, {
        variables,
        hostConfig,
        user: userOf(identity),
        graceSeconds: spec.terminationGracePeriodSeconds ?? defaultGraceSeconds,
      }),
    });
    plans.push({
      name: container.name,
      role,
      image: container.image,
      pullPolicy: container.imagePullPolicy ?? defaultPullPolicy(container.image),
      runAsNonRoot: identity.runAsNonRoot,
      ...(identity.runAsUser === undefined ? {} : { runAsUser: identity.runAsUser }),
      ...planProbes(container, place),
    });
  }
  const cpus = Math.ceil(memory.nanoCpus / 1e9);
  return {
    template: {
      name: pod.name,
      labels: { ...pod.labels, 'io.kubernetes.pod.name': pod.name, 'io.kubernetes.pod.uid': pod.uid },
      annotations: { ...pod.annotations },
      ...hostNames(spec, pod),
      ...dnsOf(spec, path),
      ...(spec.hostAliases === undefined ? {} : { extraHosts: extraHosts(spec) }),
      ...(memory.bytes === 0 && cpus === 0
        ? {}
        : {
            resources: {
              ...(memory.bytes === 0 ? {} : { memoryBytes: memory.bytes }),
              ...(cpus === 0 ? {} : { cpus }),
            },
          }),
      ...(spec.shareProcessNamespace === true ? { shareProcessNamespace: true } : {}),
      restartPolicy: { name: 'no' },
      portMappings: portMappings(spec, path),
      containers,
    },
    restartPolicy: spec.restartPolicy ?? defaultRestartPolicy,
    gracePeriodSeconds: spec.terminationGracePeriodSeconds ?? defaultGraceSeconds,
    ...(spec.activeDeadlineSeconds === undefined
      ? {}
      : { activeDeadlineSeconds: spec.activeDeadlineSeconds }),
    volumes,
    containers: plans,
    pullCredentials: pullCredentials(spec.imagePullSecrets ?? [], data, path),
  };
}

function refuseProbes(container: Container, path: string): void {
  for (const field of ['startupProbe', 'livenessProbe', 'readinessProbe', 'lifecycle'] as const) {
    if (container[field] !== undefined) {
      throw new ManifestError(
        `${path}.${field}: an init container has none, unless its restartPolicy is Always`,
      );
    }
  }
}

function userOf({ runAsUser, runAsGroup }: { runAsUser?: number; runAsGroup?: number }): string {
  if (runAsUser === undefined && runAsGroup === undefined) return '';
  return `${runAsUser ?? 0}${runAsGroup === undefined ? '' : `:${runAsGroup}`}`;
}

function containerBody(
  container: Container,
  given: {
    variables: ReadonlyMap<string, string>;
    hostConfig: HostConfig;
    user: string;
    graceSeconds: number;
  },
): ContainerCreateBody {
  const expand = (words: readonly string[]): string[] =>
    words.map((word) => expandVariables(word, given.variables));
  const ports = (container.ports ?? []).map(
    ({ containerPort, protocol = 'TCP' }) => [`${containerPort}/${protocol.toLowerCase()}`, {}] as const,
  );
  return {
    Image: container.image,
    ...(container.command === undefined ? {} : { Entrypoint: expand(container.command) }),
    ...(container.args === undefined ? {} : { Cmd: expand(container.args) }),
    Env: [...given.variables].map(([name, value]) => `${name}=${value}`),
    ...(container.workingDir === undefined ? {} : { WorkingDir: container.workingDir }),
    ...(given.user === '' ? {} : { User: given.user }),
    ...(ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports) }),
    ...(container.tty === true ? { Tty: true } : {}),
    ...(container.stdin === true ? { OpenStdin: true } : {}),
    ...(container.stdinOnce === true ? { StdinOnce: true } : {}),
    StopTimeout: given.graceSeconds,
    HostConfig: given.hostConfig,
  };
}

/** `Always` for what may change under its name. */
function defaultPullPolicy(image: string): ContainerPlan['pullPolicy'] {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function hostNames(spec: PodSpec, pod: PodIdentity): Pick<PodTemplate, 'hostname' | 'domainname'> {
  const hostname = spec.hostname ?? pod.name.slice(0, 63);
  if (spec.subdomain === undefined) return { hostname };
  return { hostname, domainname: `${spec.subdomain}.${pod.namespace}.svc.cluster.local` };
}

function dnsOf(spec: PodSpec, path: string): Pick<PodTemplate, 'dns'> {
  const { dnsPolicy, dnsConfig } = spec;
  if (dnsPolicy === 'None' && (dnsConfig?.nameservers ?? []).length === 0) {
    throw new ManifestError(`${path}.dnsConfig.nameservers: dnsPolicy None needs at least one`);
  }
  if (dnsConfig === undefined) return {};
  return {
    dns: {
      servers: dnsConfig.nameservers ?? [],
      searches: dnsConfig.searches ?? [],
      options: (dnsConfig.options ?? []).map(({ name, value }) =>
        value === undefined ? name : `${name}:${value}`,
      ),
    },
  };
}

function extraHosts(spec: PodSpec): string[] {
  return (spec.hostAliases ?? []).flatMap(({ ip, hostnames = [] }) =>
    hostnames.map((hostname) => `${hostname}:${ip}`),
  );
}

/** Only those with a port of the host; others are reached at the Pod's address without being published. */
function portMappings(spec: PodSpec, path: string): NonNullable<PodTemplate['portMappings']> {
  return spec.containers.flatMap(({ ports = [] }, container) =>
    ports.flatMap(({ containerPort, hostPort, hostIP, protocol = 'TCP' }, index) => {
      const place = `${path}.containers[${container}].ports[${index}]`;
      if (protocol === 'SCTP') throw new ManifestError(`${place}.protocol: SCTP is not supported`);
      if (hostPort === undefined) return [];
      return [
        {
          containerPort,
          hostPort,
          protocol: protocol === 'UDP' ? ('udp' as const) : ('tcp' as const),
          ...(hostIP === undefined ? {} : { hostIp: hostIP }),
        },
      ];
    }),
  );
}

/** How many containers mount each volume. */
function countMemoryUsers(containers: readonly Container[]): Map<string, number> {
  const users = new Map<string, number>();
  for (const { volumeMounts = [] } of containers) {
    for (const { name } of volumeMounts) users.set(name, (users.get(name) ?? 0) + 1);
  }
  return users;
}

interface MountContext {
  volumes: readonly VolumePlan[];
  variables: ReadonlyMap<string, string>;
  memoryUsers: ReadonlyMap<string, number>;
}

function planMounts(
  container: Container,
  path: string,
  { volumes, variables, memoryUsers }: MountContext,
): Pick<HostConfig, 'Mounts' | 'Tmpfs'> {
  const mounts: Mount[] = [];
  const tmpfs: Record<string, string> = {};
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const place = `${path}.volumeMounts[${index}]`;
    const volume = volumes.find(({ name }) => name === mount.name);
    if (volume === undefined) throw new ManifestError(`${place}.name: the Pod has no volume "${mount.name}"`);
    const subPath = subPathOf(mount, variables, place);
    const { source } = volume;
    if (source.kind === 'host') {
      if (subPath !== '') throw new ManifestError(`${place}.subPath: is not supported for a hostPath`);
      mounts.push({
        Type: 'bind',
        Source: source.path,
        Target: mount.mountPath,
        ReadOnly: mount.readOnly ?? false,
      });
      continue;
    }
    if (source.kind === 'memory') {
      if ((memoryUsers.get(mount.name) ?? 0) > 1 || subPath !== '') {
        throw new ManifestError(
          `${place}: an emptyDir in memory can be mounted once only, and without subPath`,
        );
      }
      const size = source.sizeBytes === undefined ? [] : [`size=${source.sizeBytes}`];
      const group = volume.fsGroup === undefined ? ['mode=1777'] : [`mode=2775`, `gid=${volume.fsGroup}`];
      tmpfs[mount.mountPath] = [...size, ...group, 'exec', mount.readOnly === true ? 'ro' : 'rw'].join(',');
      continue;
    }
    if (subPath !== '' && source.kind !== 'files') volume.subPaths.push(subPath);
    mounts.push({
      Type: 'volume',
      Source: volume.volumeName ?? '',
      Target: mount.mountPath,
      ReadOnly:
        (mount.readOnly ?? false) || source.kind === 'files' || (source.kind === 'claim' && source.readOnly),
      VolumeOptions: { NoCopy: true, ...(subPath === '' ? {} : { Subpath: subPath }) },
    });
  }
  return {
    ...(mounts.length === 0 ? {} : { Mounts: mounts }),
    ...(Object.keys(tmpfs).length === 0 ? {} : { Tmpfs: tmpfs }),
  };
}

function subPathOf(mount: VolumeMount, variables: ReadonlyMap<string, string>, path: string): string {
  const { subPath = '', subPathExpr } = mount;
  if (subPath !== '' && subPathExpr !== undefined) {
    throw new ManifestError(`${path}: has both subPath and subPathExpr`);
  }
  const given = subPathExpr === undefined ? subPath : expandVariables(subPathExpr, variables);
  if (given.startsWith('/') || given.split('/').includes('..')) {
    throw new ManifestError(`${path}.subPath: must be relative and without ".."`);
  }
  return given;
}
