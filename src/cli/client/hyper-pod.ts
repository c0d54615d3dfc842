// HyperContainer's Pod file as a template of /v1/pods, and the files that go into its containers.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ContainerCreateBody, Mount } from '../../docker/types';
import { errorMessage } from '../../errors';
import type { PodNetwork, PodPortMapping, PodTemplate } from '../../api/v1/types';
import { describeIssues } from '../../kubernetes/schema/issues';
import { podVolumeLabel } from '../../storage/disks/volume-store';
import { hyperPod, type HyperContainer, type HyperPod, type HyperVolume } from './hyper-pod-schema';
import { containerName } from './workload-options';

/** One file for a container that is made and does not run yet. */
export interface ContainerFile {
  container: string;
  /** Absolute, in the container. */
  path: string;
  mode: number;
  uid: number;
  gid: number;
  content: Buffer;
}

export interface PodFile {
  template: PodTemplate;
  files: ContainerFile[];
}

const defaultFileMode = 0o755;
/** What is larger belongs into an image or a volume. */
const maxFileBytes = 64 * 1024 * 1024;
const bytesPerMegabyte = 2 ** 20;
const restartPolicies = { never: 'no', always: 'always', onFailure: 'on-failure' } as const;

/** Throws with the paths of what is wrong; files with a `uri` are fetched here. */
export async function readHyperPod(value: unknown): Promise<PodFile> {
  const result = hyperPod.safeParse(value);
  if (!result.success) throw new Error(`invalid Pod: ${describeIssues(result.error.issues)}`);
  const pod = result.data;
  const name = podName(pod);
  const names = containerNames(pod.containers);
  const template: PodTemplate = {
    name,
    ...(pod.labels === undefined ? {} : { labels: pod.labels }),
    ...(pod.hostname === undefined ? {} : { hostname: pod.hostname }),
    ...dnsOf(pod),
    ...resourcesOf(pod),
    ...(pod.restartPolicy === undefined
      ? {}
      : { restartPolicy: { name: restartPolicies[pod.restartPolicy] } }),
    ...(pod.interfaces === undefined || pod.interfaces.length === 0
      ? {}
      : { networks: pod.interfaces.map(networkOf) }),
    portMappings: allPorts(pod),
    containers: pod.containers.map((container, index) => ({
      name: names[index] ?? '',
      body: bodyOf(container, { pod, podName: name, path: `containers[${index}]` }),
    })),
  };
  return { template, files: await filesOf(pod, names) };
}

function refuse(path: string, message: string): never {
  throw new Error(`invalid Pod: ${path}: ${message}`);
}

/** HyperContainer's `id` is the name that a user gives. */
function podName({ id, name }: HyperPod): string {
  if (id !== undefined && name !== undefined && id !== name) refuse('id', 'is another name than "name"');
  return id ?? name ?? `pod-${randomBytes(4).toString('hex')}`;
}

/** Those that have none are called like their image, with a number where that is taken. */
function containerNames(containers: readonly HyperContainer[]): string[] {
  const taken = new Set(containers.flatMap(({ name }) => name ?? []));
  return containers.map(({ name, image }) => {
    if (name !== undefined) return name;
    const wanted = containerName(image);
    let free = wanted;
    for (let number = 2; taken.has(free); number++) free = `${wanted}-${number}`;
    taken.add(free);
    return free;
  });
}

function dnsOf({ dns, dnsOptions, dnsSearch }: HyperPod): Pick<PodTemplate, 'dns'> {
  if (dns === undefined && dnsOptions === undefined && dnsSearch === undefined) return {};
  return { dns: { servers: dns ?? [], searches: dnsSearch ?? [], options: dnsOptions ?? [] } };
}

function resourcesOf({ resource }: HyperPod): Pick<PodTemplate, 'resources'> {
  const { vcpu = 0, memory = 0 } = resource ?? {};
  if (vcpu === 0 && memory === 0) return {};
  return {
    resources: {
      ...(vcpu === 0 ? {} : { cpus: vcpu }),
      ...(memory === 0 ? {} : { memoryBytes: Math.ceil(memory * bytesPerMegabyte) }),
    },
  };
}

function networkOf({ bridge = 'bridge', ip, mac }: NonNullable<HyperPod['interfaces']>[number]): PodNetwork {
  // The length of the prefix is the network's.
  const address = ip?.split('/')[0];
  return {
    name: bridge,
    ...(address === undefined || address === ''
      ? {}
      : address.includes(':')
        ? { ipv6Address: address }
        : { ipv4Address: address }),
    ...(mac === undefined ? {} : { macAddress: mac }),
  };
}

type HyperPort = NonNullable<HyperPod['portmappings']>[number];

function allPorts(pod: HyperPod): PodPortMapping[] {
  const own = (pod.portmappings ?? []).flatMap((mapping, index) =>
    portsOf(mapping, `portmappings[${index}]`),
  );
  const ofContainers = pod.containers.flatMap(({ ports = [] }, container) =>
    ports.flatMap((mapping, index) => portsOf(mapping, `containers[${container}].ports[${index}]`)),
  );
  return [...own, ...ofContainers];
}

function portsOf({ containerPort, hostPort, protocol }: HyperPort, path: string): PodPortMapping[] {
  const count = containerPort.last - containerPort.first + 1;
  if (hostPort !== undefined && hostPort.last - hostPort.first + 1 !== count) {
    refuse(`${path}.hostPort`, 'must be a range as long as that of containerPort');
  }
  return Array.from({ length: count }, (_, offset) => ({
    containerPort: containerPort.first + offset,
    ...(hostPort === undefined ? {} : { hostPort: hostPort.first + offset }),
    ...(protocol === undefined ? {} : { protocol }),
  }));
}

function bodyOf(
  container: HyperContainer,
  { pod, podName, path }: { pod: HyperPod; podName: string; path: string },
): ContainerCreateBody {
  const { command, entrypoint, workdir, envs, user, stopSignal, labels, ulimits, sysctl } = container;
  const groups = typeof user === 'object' ? (user.additionalGroups ?? []) : [];
  const mounts = (container.volumes ?? []).map((_, index) =>
    mountOf(container, index, { volumes: pod.volumes ?? [], podName, path: `${path}.volumes[${index}]` }),
  );
  return {
    Image: container.image,
    ...(command === undefined || command.length === 0 ? {} : { Cmd: command }),
    ...(entrypoint === undefined || entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
    ...(workdir === undefined ? {} : { WorkingDir: workdir }),
    ...(envs === undefined ? {} : { Env: envs.map(({ env, value = '' }) => `${env}=${value}`) }),
    ...(user === undefined ? {} : { User: userOf(user) }),
    ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
    ...(labels === undefined ? {} : { Labels: labels }),
    Tty: container.tty ?? pod.tty ?? false,
    OpenStdin: container.tty ?? pod.tty ?? false,
    HostConfig: {
      ...(mounts.length === 0 ? {} : { Mounts: mounts }),
      ...(groups.length === 0 ? {} : { GroupAdd: groups }),
      ...(ulimits === undefined
        ? {}
        : { Ulimits: ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })) }),
      ...(sysctl === undefined ? {} : { Sysctls: sysctl }),
      ...(pod.log === undefined ? {} : { LogConfig: { Type: pod.log.type, Config: pod.log.config ?? {} } }),
      ...(container.restartPolicy === undefined
        ? {}
        : { RestartPolicy: { Name: restartPolicies[container.restartPolicy], MaximumRetryCount: 0 } }),
    },
  };
}

function userOf(user: NonNullable<HyperContainer['user']>): string {
  if (typeof user === 'string') return user;
  return user.group === undefined || user.group === '' ? user.name : `${user.name}:${user.group}`;
}

/** A directory of the host, or a volume that goes with the Pod. */
function mountOf(
  container: HyperContainer,
  index: number,
  { volumes, podName, path }: { volumes: readonly HyperVolume[]; podName: string; path: string },
): Mount {
  const wanted = container.volumes?.[index];
  const name = wanted?.volume ?? wanted?.detail?.name ?? refuse(`${path}.volume`, 'is missing');
  const volume =
    wanted?.detail ??
    volumes.find((other) => other.name === name) ??
    refuse(`${path}.volume`, `the Pod has no volume "${name}"`);
  if (volume.name !== name) refuse(`${path}.detail.name`, `is not "${name}"`);
  const common = { Target: wanted?.path ?? '', ReadOnly: wanted?.readOnly ?? false };
  if (volume.source !== undefined) return { Type: 'bind', Source: volume.source, ...common };
  return {
    Type: 'volume',
    Source: `${podName}-${name}`,
    ...common,
    VolumeOptions: { Labels: { [podVolumeLabel]: podName } },
  };
}

async function filesOf(pod: HyperPod, names: readonly string[]): Promise<ContainerFile[]> {
  const contents = new Map<string, Promise<Buffer>>();
  const contentOf = (name: string, path: string): Promise<Buffer> => {
    const index = (pod.files ?? []).findIndex((file) => file.name === name);
    const file = pod.files?.[index];
    if (file === undefined) refuse(`${path}.filename`, `the Pod has no file "${name}"`);
    const content = contents.get(name) ?? readContent(file, `files[${index}]`);
    contents.set(name, content);
    return content;
  };
  const found: ContainerFile[] = [];
  for (const [at, { files = [] }] of pod.containers.entries()) {
    for (const [index, file] of files.entries()) {
      const content = await contentOf(file.filename, `containers[${at}].files[${index}]`);
      found.push({
        container: names[at] ?? '',
        path: file.path.endsWith('/') ? posix.join(file.path, file.filename) : posix.normalize(file.path),
        mode: file.perm ?? defaultFileMode,
        uid: file.user ?? 0,
        gid: file.group ?? 0,
        content,
      });
    }
  }
  return found;
}

async function readContent(file: NonNullable<HyperPod['files']>[number], path: string): Promise<Buffer> {
  const inline = file.content ?? file.contents ?? '';
  if (inline !== '' && (file.uri ?? '') !== '') refuse(path, 'has both uri and content');
  const bytes = (file.uri ?? '') === '' ? Buffer.from(inline) : await fetchContent(file.uri ?? '', path);
  if (bytes.length > maxFileBytes) refuse(path, `is larger than ${maxFileBytes} bytes`);
  if (file.encoding !== 'base64') return bytes;
  const encoded = bytes.toString('latin1').replace(/\s/g, '');
  const decoded = Buffer.from(encoded, 'base64');
  if (decoded.toString('base64') !== encoded) refuse(`${path}.content`, 'is not base64');
  return decoded;
}

async function fetchContent(uri: string, path: string): Promise<Buffer> {
  const url = URL.canParse(uri) ? new URL(uri) : refuse(`${path}.uri`, 'is no URL');
  try {
    if (url.protocol === 'file:') return await readFile(fileURLToPath(url));
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new Error('only file, http and https are supported');
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  } catch (error) {
    return refuse(`${path}.uri`, errorMessage(error));
  }
}
