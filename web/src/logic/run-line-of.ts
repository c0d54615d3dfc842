// The `docker run` line that makes the same container again, of what inspect says of one and of its image.

import type { ContainerInspect, ImageInspect } from '../../../src/docker/types';
import { quoted } from './run-line';

type ImageConfig = Partial<NonNullable<ImageInspect['Config']>>;
type Mount = NonNullable<ContainerInspect['HostConfig']['Mounts']>[number];
type Health = NonNullable<ContainerInspect['Config']['Healthcheck']>;

const defaultShmBytes = 64 * 2 ** 20;
/** What docker itself puts into a name of an id. */
const ownHostname = /^[\da-f]{12}$/;

class Line {
  readonly #words: string[] = ['docker run'];

  flag(name: string, isSet = true): void {
    if (isSet) this.#words.push(name);
  }

  add(name: string, value: string | number | null | undefined): void {
    if (value !== undefined && value !== null && value !== '' && value !== 0)
      this.#words.push(`${name} ${quoted(String(value))}`);
  }

  each(name: string, values: readonly string[] | null | undefined): void {
    for (const value of values ?? []) this.add(name, value);
  }

  word(text: string): void {
    this.#words.push(quoted(text));
  }

  get text(): string {
    return this.#words.join(' ');
  }
}

/** What the image has by itself is left out where it can be told. */
export function runLineOf(inspect: ContainerInspect, image: ImageConfig = {}): string {
  const { Name, Config, HostConfig } = inspect;
  const line = new Line();
  line.flag(Config.Tty && Config.OpenStdin ? '-dit' : Config.Tty ? '-dt' : Config.OpenStdin ? '-di' : '-d');
  line.add('--name', Name.replace(/^\//, ''));
  line.flag('--rm', HostConfig.AutoRemove);
  addPlace(line, inspect, image);
  addMounts(line, inspect);
  addProcess(line, inspect, image);
  addLimits(line, inspect);
  addRights(line, inspect);
  addHealth(line, Config.Healthcheck, image.Healthcheck);
  const { Name: restart = '', MaximumRetryCount: retries = 0 } = HostConfig.RestartPolicy ?? {};
  if (restart !== '' && restart !== 'no')
    line.add('--restart', retries > 0 ? `${restart}:${retries}` : restart);
  const { Type: driver = '', Config: options } = HostConfig.LogConfig ?? {};
  if (driver !== 'json-file') line.add('--log-driver', driver);
  for (const [key, value] of Object.entries(options ?? {})) line.add('--log-opt', `${key}=${value}`);
  addCommand(line, inspect, image);
  return line.text;
}

/** Network, names and ports. */
function addPlace(
  line: Line,
  { Id, Config, HostConfig, NetworkSettings }: ContainerInspect,
  image: ImageConfig,
): void {
  const mode = HostConfig.NetworkMode;
  if (!['', 'default', 'bridge'].includes(mode)) line.add('--network', mode);
  const ownNames = [Id.slice(0, 12), Config.Hostname];
  for (const alias of NetworkSettings.Networks[mode]?.Aliases ?? [])
    if (!ownNames.includes(alias)) line.add('--network-alias', alias);
  line.add('--ip', NetworkSettings.Networks[mode]?.IPAMConfig?.IPv4Address);
  // whose host's name or network it has, his name it has
  const hasOwn = !/^(?:host$|container:)/.test(mode) && HostConfig.UTSMode !== 'host';
  if (hasOwn && !ownHostname.test(Config.Hostname)) line.add('--hostname', Config.Hostname);
  line.add('--domainname', Config.Domainname);
  line.add('--mac-address', Config.MacAddress);
  for (const linked of HostConfig.Links ?? []) {
    const [target = '', alias = ''] = linked.split(':');
    line.add('--link', `${target.replace(/^\//, '')}:${alias.slice(alias.lastIndexOf('/') + 1)}`);
  }
  const bindings = HostConfig.PortBindings ?? {};
  for (const port of Object.keys(Config.ExposedPorts ?? {}))
    if (image.ExposedPorts?.[port] === undefined && bindings[port] === undefined)
      line.add('--expose', port.replace(/\/tcp$/, ''));
  line.flag('-P', HostConfig.PublishAllPorts);
  for (const [port, places] of Object.entries(bindings)) {
    for (const { HostIp = '', HostPort = '' } of places ?? []) {
      const ip = HostIp.includes(':') ? `[${HostIp}]` : HostIp;
      const host = ip === '' && HostPort === '' ? '' : `${ip === '' ? '' : `${ip}:`}${HostPort}:`;
      line.add('-p', `${host}${port.replace(/\/tcp$/, '')}`);
    }
  }
  line.each('--dns', HostConfig.Dns);
  line.each('--dns-search', HostConfig.DnsSearch);
  line.each('--dns-option', HostConfig.DnsOptions);
  line.each('--add-host', HostConfig.ExtraHosts);
}

function addMounts(line: Line, { HostConfig, Mounts }: ContainerInspect): void {
  line.each('-v', HostConfig.Binds);
  line.each('--mount', (HostConfig.Mounts ?? []).map(mountOf));
  const known = [
    ...(HostConfig.Binds ?? []).map((bind) => bind.split(':')[1]),
    ...(HostConfig.Mounts ?? []).map(({ Target }) => Target),
  ];
  const isFromOthers = (HostConfig.VolumesFrom ?? []).length > 0;
  for (const { Type, Destination } of Mounts)
    // an anonymous volume of `-v /path`; one that the image names comes by itself, and is none the worse for it
    if (!isFromOthers && Type === 'volume' && !known.includes(Destination)) line.add('-v', Destination);
  line.each('--volumes-from', HostConfig.VolumesFrom);
  for (const [path, options] of Object.entries(HostConfig.Tmpfs ?? {}))
    line.add('--tmpfs', options === '' ? path : `${path}:${options}`);
  if (HostConfig.ShmSize !== defaultShmBytes) line.add('--shm-size', HostConfig.ShmSize);
}

function mountOf({ Type = '', Source = '', Target = '', ReadOnly, ...options }: Mount): string {
  const { BindOptions, VolumeOptions, TmpfsOptions } = options;
  const parts: [string, string | number | undefined][] = [
    ['type', Type],
    ['source', Source],
    ['target', Target],
    ['bind-propagation', BindOptions?.Propagation],
    ['tmpfs-size', TmpfsOptions?.SizeBytes],
    ['tmpfs-mode', TmpfsOptions?.Mode?.toString(8)],
  ];
  const words = parts.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : `${name}=${value}`,
  );
  if (ReadOnly === true) words.push('readonly');
  if (VolumeOptions?.NoCopy === true) words.push('volume-nocopy');
  return words.join();
}

function addProcess(line: Line, { Config, HostConfig }: ContainerInspect, image: ImageConfig): void {
  const ofImage = new Set(image.Env ?? []);
  for (const variable of Config.Env ?? []) {
    if (!ofImage.has(variable) && !isUsualPath(variable, image)) line.add('-e', variable);
  }
  for (const [key, value] of Object.entries(Config.Labels ?? {}))
    if (image.Labels?.[key] !== value) line.add('-l', value === '' ? key : `${key}=${value}`);
  if (Config.User !== (image.User ?? '')) line.add('-u', Config.User);
  if (Config.WorkingDir !== (image.WorkingDir ?? '')) line.add('-w', Config.WorkingDir);
  if ((Config.StopSignal ?? '') !== (image.StopSignal ?? '')) line.add('--stop-signal', Config.StopSignal);
  // at once is an answer, too
  line.add('--stop-timeout', Config.StopTimeout?.toString());
  line.flag('--init', HostConfig.Init === true);
}

/** Docker adds one where neither client nor image has any. */
function isUsualPath(variable: string, image: ImageConfig): boolean {
  const hasPath = (image.Env ?? []).some((one) => one.startsWith('PATH='));
  return !hasPath && variable === 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
}

function addLimits(line: Line, { HostConfig }: ContainerInspect): void {
  const { Memory, MemorySwap, NanoCpus, Ulimits, Sysctls } = HostConfig;
  line.add('--memory', Memory);
  // twice the memory is what docker makes of none
  if (MemorySwap !== 2 * Memory) line.add('--memory-swap', MemorySwap);
  line.add('--memory-reservation', HostConfig.MemoryReservation);
  line.add('--cpus', NanoCpus / 1e9);
  line.add('--cpu-shares', HostConfig.CpuShares);
  line.add('--cpu-quota', HostConfig.CpuQuota);
  line.add('--cpu-period', HostConfig.CpuPeriod);
  line.add('--cpuset-cpus', HostConfig.CpusetCpus);
  line.add('--cpuset-mems', HostConfig.CpusetMems);
  line.add('--blkio-weight', HostConfig.BlkioWeight);
  line.flag('--oom-kill-disable', HostConfig.OomKillDisable === true);
  line.add('--pids-limit', HostConfig.PidsLimit);
  line.add('--oom-score-adj', HostConfig.OomScoreAdj);
  for (const { Name = '', Soft = 0, Hard = 0 } of Ulimits ?? [])
    line.add('--ulimit', `${Name}=${Soft === Hard ? Soft : `${Soft}:${Hard}`}`);
  for (const [key, value] of Object.entries(Sysctls ?? {})) line.add('--sysctl', `${key}=${value}`);
}

function addRights(line: Line, { HostConfig }: ContainerInspect): void {
  line.flag('--privileged', HostConfig.Privileged);
  line.flag('--read-only', HostConfig.ReadonlyRootfs);
  line.each('--cap-add', HostConfig.CapAdd);
  line.each('--cap-drop', HostConfig.CapDrop);
  line.each('--group-add', HostConfig.GroupAdd);
  // of a privileged one docker makes it itself
  if (!HostConfig.Privileged) line.each('--security-opt', HostConfig.SecurityOpt);
  for (const { PathOnHost = '', PathInContainer = '' } of HostConfig.Devices ?? [])
    line.add('--device', `${PathOnHost}:${PathInContainer}`);
  line.add('--pid', HostConfig.PidMode);
  if (HostConfig.IpcMode !== 'private') line.add('--ipc', HostConfig.IpcMode);
  line.add('--uts', HostConfig.UTSMode);
  line.add('--userns', HostConfig.UsernsMode);
}

function addHealth(line: Line, health?: Health | null, ofImage?: Health | null): void {
  const test = health?.Test ?? [];
  if (test[0] === 'NONE') line.flag('--no-healthcheck');
  if (health === undefined || health === null || JSON.stringify(health) === JSON.stringify(ofImage ?? null))
    return;
  if (test[0] === 'CMD-SHELL') line.add('--health-cmd', test[1]);
  else if (test[0] === 'CMD') line.add('--health-cmd', test.slice(1).map(quoted).join(' '));
  const times = [
    ['--health-interval', health.Interval],
    ['--health-timeout', health.Timeout],
    ['--health-start-period', health.StartPeriod],
  ] as const;
  for (const [name, nanoseconds = 0] of times) if (nanoseconds > 0) line.add(name, `${nanoseconds / 1e6}ms`);
  line.add('--health-retries', health.Retries);
}

function addCommand(line: Line, { Config }: ContainerInspect, image: ImageConfig): void {
  const same = (one: readonly string[] | null = [], other: readonly string[] | null = []): boolean =>
    JSON.stringify(one ?? []) === JSON.stringify(other ?? []);
  const [program, ...rest] = Config.Entrypoint ?? [];
  const isOther = !same(Config.Entrypoint, image.Entrypoint);
  // `--entrypoint` takes one word: those after it go before the command
  if (isOther && program !== undefined) line.add('--entrypoint', program);
  else if (isOther) line.flag("--entrypoint ''");
  line.word(Config.Image);
  const before = isOther ? rest : [];
  if (before.length > 0 || !same(Config.Cmd, isOther ? [] : image.Cmd))
    for (const word of [...before, ...(Config.Cmd ?? [])]) line.word(word);
}
