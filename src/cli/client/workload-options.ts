// The options of `run`, `pod run` and `pod create`, and what they make: Docker's create body, and a Pod of one container.

import { InvalidArgumentError, type Command } from 'commander';
import type { ContainerCreateBody } from '../../docker/types';
import { parseRamSize } from '../../go/size-format';
import type { PodNetwork, PodPortMapping, PodTemplate } from '../../api/v1/types';

export interface WorkloadOptions {
  name?: string;
  env?: string[];
  publish?: PodPortMapping[];
  volume?: string[];
  label?: Record<string, string>;
  memory?: number;
  cpus?: number;
  tty?: boolean;
  interactive?: boolean;
  rm?: boolean;
  hostname?: string;
  network?: string[];
  restart?: RestartPolicy;
  workdir?: string;
  user?: string;
  entrypoint?: string;
  dns?: string[];
  addHost?: string[];
  privileged?: boolean;
}

type RestartPolicy = NonNullable<PodTemplate['restartPolicy']>;

/** Adds them; docker's names, as far as docker has them. */
export function addWorkloadOptions(command: Command): Command {
  return command
    .option('--name <name>', 'its name (default: made up)')
    .option('-e, --env <NAME=value>', 'set a variable; may be repeated', collect)
    .option('-p, --publish <[[ip:]hostPort:]port[/protocol]>', 'publish a port; may be repeated', collectPort)
    .option('-v, --volume <source:target[:ro]>', 'mount a volume or a path of the host', collect)
    .option('-l, --label <name=value>', 'label it; may be repeated', collectLabel)
    .option('-m, --memory <size>', 'limit its memory, and size its VM for that', parseSize)
    .option('--cpus <number>', 'limit its CPUs, and size its VM for that', parseCpus)
    .option('-t, --tty', 'give it a terminal')
    .option('-i, --interactive', 'keep its standard input open')
    .option('--rm', 'remove it when it has ended')
    .option('--hostname <name>', 'its host name')
    .option('--network <name>', 'connect it to this network; may be repeated', collect)
    .option('--restart <policy>', 'no, always, unless-stopped or on-failure[:retries]', parseRestart)
    .option('-w, --workdir <path>', 'working directory')
    .option('-u, --user <user[:group]>', 'who runs it')
    .option('--entrypoint <command>', "instead of the image's")
    .option('--dns <address>', 'name server; may be repeated', collect)
    .option('--add-host <name:address>', 'a line for /etc/hosts; may be repeated', collect)
    .option('--privileged', 'all rights inside its VM');
}

/** Docker's create body, without network and ports. */
export function containerBody(
  image: string,
  command: readonly string[],
  options: WorkloadOptions,
): ContainerCreateBody {
  const { env, memory, cpus, tty = false, interactive = false, workdir, user, entrypoint } = options;
  return {
    Image: image,
    ...(command.length === 0 ? {} : { Cmd: [...command] }),
    ...(env === undefined ? {} : { Env: env.map(withOwnValue) }),
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint === '' ? [''] : [entrypoint] }),
    ...(workdir === undefined ? {} : { WorkingDir: workdir }),
    ...(user === undefined ? {} : { User: user }),
    Tty: tty,
    OpenStdin: interactive,
    StdinOnce: interactive,
    HostConfig: {
      ...(options.volume === undefined ? {} : { Binds: options.volume }),
      ...(memory === undefined ? {} : { Memory: memory }),
      ...(cpus === undefined ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
      ...(options.privileged === true ? { Privileged: true } : {}),
    },
  };
}

/** A Pod with one container, called like its image. */
export function podTemplate(
  name: string,
  image: string,
  command: readonly string[],
  options: WorkloadOptions & { keepVm?: boolean },
): PodTemplate {
  const { label, hostname, network, restart, dns, addHost, publish } = options;
  return {
    name,
    ...(label === undefined ? {} : { labels: label }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(network === undefined ? {} : { networks: podNetworks(network) }),
    ...(restart === undefined ? {} : { restartPolicy: restart }),
    ...(dns === undefined ? {} : { dns: { servers: dns } }),
    ...(addHost === undefined ? {} : { extraHosts: addHost }),
    ...(publish === undefined ? {} : { portMappings: publish }),
    ...(options.keepVm === true ? { keepVm: true } : {}),
    ...(options.rm === true ? { autoRemove: true } : {}),
    containers: [{ name: containerName(image), body: containerBody(image, command, options) }],
  };
}

function podNetworks(names: readonly string[]): PodNetwork[] {
  return names.includes('none') ? [] : names.map((name) => ({ name }));
}

/** `registry:5000/library/busybox:1.36` → `busybox`. */
export function containerName(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1).split(/[:@]/)[0] ?? '';
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(last) ? last : 'main';
}

/** What of the options is the Pod's, for a Docker container of its own. */
export function dockerBody(
  image: string,
  command: readonly string[],
  options: WorkloadOptions,
): ContainerCreateBody {
  const body = containerBody(image, command, options);
  const { label, hostname, network, restart, dns, addHost, publish = [] } = options;
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { containerPort, hostPort = 0, protocol = 'tcp', hostIp = '' } of publish) {
    const HostPort = hostPort === 0 ? '' : String(hostPort);
    (bindings[`${containerPort}/${protocol}`] ??= []).push({ HostIp: hostIp, HostPort });
  }
  return {
    ...body,
    ...(label === undefined ? {} : { Labels: label }),
    ...(hostname === undefined ? {} : { Hostname: hostname }),
    ExposedPorts: Object.fromEntries(Object.keys(bindings).map((port) => [port, {}])),
    HostConfig: {
      ...body.HostConfig,
      PortBindings: bindings,
      ...(network?.[0] === undefined ? {} : { NetworkMode: network[0] }),
      ...(restart === undefined
        ? {}
        : { RestartPolicy: { Name: restart.name, MaximumRetryCount: restart.maximumRetryCount ?? 0 } }),
      ...(dns === undefined ? {} : { Dns: dns }),
      ...(addHost === undefined ? {} : { ExtraHosts: addHost }),
      ...(options.rm === true ? { AutoRemove: true } : {}),
    },
  };
}

/** `NAME` alone takes the value that it has here, as docker does. */
function withOwnValue(entry: string): string {
  return entry.includes('=') ? entry : `${entry}=${process.env[entry] ?? ''}`;
}

export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function collectLabel(value: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = value.indexOf('=');
  return equals < 0
    ? { ...before, [value]: '' }
    : { ...before, [value.slice(0, equals)]: value.slice(equals + 1) };
}

export function parseSize(text: string): number {
  const bytes = parseRamSize(text);
  if (bytes === undefined) throw new InvalidArgumentError('It is no size, such as 512m or 2g.');
  return bytes;
}

export function parseCpus(text: string): number {
  const cpus = Number(text);
  if (!(cpus > 0)) throw new InvalidArgumentError('It is no number of CPUs.');
  return cpus;
}

export function collectPort(text: string, before: readonly PodPortMapping[] = []): PodPortMapping[] {
  const match = /^(?:(?:(\[[^\]]+\]|[\d.]+):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError('It is no port, such as 80, 8080:80, 127.0.0.1:8080:80 or 53:53/udp.');
  }
  const [, hostIp, hostPort, containerPort, protocol] = match;
  const mapping: PodPortMapping = {
    containerPort: Number(containerPort),
    ...(hostPort === undefined || hostPort === '' ? {} : { hostPort: Number(hostPort) }),
    ...(protocol === 'udp' || protocol === 'tcp' ? { protocol } : {}),
    ...(hostIp === undefined ? {} : { hostIp: hostIp.replace(/^\[(.*)\]$/, '$1') }),
  };
  return [...before, mapping];
}

function parseRestart(text: string): RestartPolicy {
  const [name, retries] = text.split(':');
  if (name === 'on-failure' && (retries === undefined || /^\d+$/.test(retries))) {
    return { name, ...(retries === undefined ? {} : { maximumRetryCount: Number(retries) }) };
  }
  if ((name === 'no' || name === 'always' || name === 'unless-stopped') && retries === undefined)
    return { name };
  throw new InvalidArgumentError(
    'It is one of no, always, unless-stopped, on-failure and on-failure:RETRIES.',
  );
}
