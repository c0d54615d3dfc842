// cli/: the program's own commands, and where the daemon's options come from.
//
// The daemon's options, each with its flag and its key in the configuration file. Names are dockerd's where it has one.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { errorMessage } from '../errors';
import { logLevels } from '../log';
import { readFlag, requireAddress, OptionError, type OptionKind, type OptionValue } from './option-kinds';

export interface DaemonOption {
  /** In the configuration file; the flag's name may be its singular. */
  key: string;
  /** As commander takes it: `-D, --debug`. */
  flags: string;
  kind: OptionKind;
  description: string;
  choices?: readonly string[];
  /** Throws OptionError. */
  check?: (value: never) => void;
  /** Taken over when the daemon is told to reload (SIGHUP). */
  reloads?: true;
}

const oneOrMore = (what: string, least: number) => (value: number) => {
  if (value < least) throw new OptionError(`invalid ${what}: ${value}`);
};
const addresses = (values: string[]): void => values.forEach(requireAddress);

export const daemonOptions: readonly DaemonOption[] = [
  {
    key: 'data-root',
    flags: '--data-root <dir>',
    kind: 'string',
    description: 'images, disks, records and logs (default: /var/lib/caisson)',
  },
  {
    key: 'run-dir',
    flags: '--run-dir <dir>',
    kind: 'string',
    description: 'sockets and run-time state (default: /run/caisson)',
  },
  {
    key: 'hosts',
    flags: '-H, --host <address>',
    kind: 'list',
    description:
      'listen on unix://PATH, tcp://ADDRESS:PORT or fd://; may be repeated (default: unix:///run/caisson/caisson.sock)',
  },
  {
    key: 'group',
    flags: '-G, --group <group>',
    kind: 'string',
    description: 'group of unix sockets (default: docker, where there is one)',
  },
  {
    key: 'pidfile',
    flags: '-p, --pidfile <path>',
    kind: 'string',
    description: "where to write the daemon's pid (default: nowhere)",
  },
  {
    key: 'tls',
    flags: '--tls [bool]',
    kind: 'boolean',
    description: 'use TLS on tcp addresses; implied by --tlsverify',
  },
  {
    key: 'tlsverify',
    flags: '--tlsverify [bool]',
    kind: 'boolean',
    description: 'use TLS and let in only clients with a certificate of the CA',
  },
  {
    key: 'tlscacert',
    flags: '--tlscacert <path>',
    kind: 'string',
    description: 'trust client certificates of this CA (default: ~/.docker/ca.pem)',
  },
  {
    key: 'tlscert',
    flags: '--tlscert <path>',
    kind: 'string',
    description: "the daemon's certificate (default: ~/.docker/cert.pem)",
  },
  {
    key: 'tlskey',
    flags: '--tlskey <path>',
    kind: 'string',
    description: 'its key (default: ~/.docker/key.pem)',
  },
  {
    key: 'debug',
    flags: '-D, --debug [bool]',
    kind: 'boolean',
    description: 'log everything, and answer below /debug',
    reloads: true,
  },
  {
    key: 'log-level',
    flags: '-l, --log-level <level>',
    kind: 'string',
    description: `least severe level that is logged: ${logLevels.join(', ')} (default: info)`,
    choices: logLevels,
    reloads: true,
  },
  {
    key: 'log-format',
    flags: '--log-format <format>',
    kind: 'string',
    description: 'text or json (default: text)',
    choices: ['text', 'json'],
  },
  {
    key: 'labels',
    flags: '--label <key=value>',
    kind: 'list',
    description: 'label of the daemon; may be repeated',
    check: requireLabels,
    reloads: true,
  },
  {
    key: 'metrics-addr',
    flags: '--metrics-addr <address>',
    kind: 'string',
    description: 'ADDRESS:PORT of the metrics for Prometheus',
  },
  {
    key: 'web',
    flags: '--web <address>',
    kind: 'string',
    description: 'ADDRESS:PORT of the web page, like 127.0.0.1:890 (default: none)',
  },
  {
    key: 'web-read-only',
    flags: '--web-read-only [bool]',
    kind: 'boolean',
    description: 'who uses the web page may look, and change nothing',
  },
  {
    key: 'accel',
    flags: '--accel <kind>',
    kind: 'string',
    description: 'how VMs are run: auto, kvm or tcg (default: auto)',
    choices: ['auto', 'kvm', 'tcg'],
  },
  {
    key: 'emulated-aslr',
    flags: '--emulated-aslr',
    kind: 'boolean',
    description:
      'programs get random addresses also without hardware virtualization (starts of programs are slower)',
  },
  {
    key: 'pool-size',
    flags: '--pool-size <n>',
    kind: 'integer',
    description: 'idle VMs kept ready (default: 3)',
    check: oneOrMore('pool size', 0),
  },
  {
    key: 'vm-templates',
    flags: '--vm-templates <n>',
    kind: 'integer',
    description: 'templates kept of VMs with more memory than usual (default: 2)',
    check: oneOrMore('number of templates', 0),
  },
  {
    key: 'storage-size',
    flags: '--storage-size <size>',
    kind: 'size',
    description: "size of a container's writable disk, sparse (default: 20g)",
    check: requireDiskSize,
  },
  {
    key: 'guest-dir',
    flags: '--guest-dir <dir>',
    kind: 'string',
    description: "the guest's kernel and initramfs",
  },
  {
    key: 'qemu',
    flags: '--qemu <path>',
    kind: 'string',
    description: 'QEMU (default: /usr/bin/qemu-system-x86_64)',
  },
  {
    key: 'emulator-dir',
    flags: '--emulator-dir <dir>',
    kind: 'string',
    description: 'qemu-user-static, which runs programs of other processors (default: /usr/bin)',
  },
  {
    key: 'insecure-registries',
    flags: '--insecure-registry <host>',
    kind: 'list',
    description: 'registry without verified TLS; may be repeated',
    reloads: true,
  },
  {
    key: 'registry-mirrors',
    flags: '--registry-mirror <url>',
    kind: 'list',
    description: 'mirror of Docker Hub; may be repeated',
    check: requireMirrors,
    reloads: true,
  },
  {
    key: 'max-concurrent-downloads',
    flags: '--max-concurrent-downloads <n>',
    kind: 'integer',
    description: 'layers that a pull fetches at once (default: 3)',
    check: oneOrMore('max concurrent downloads', 0),
    reloads: true,
  },
  {
    key: 'max-concurrent-uploads',
    flags: '--max-concurrent-uploads <n>',
    kind: 'integer',
    description: 'layers that a push sends at once (default: 5)',
    check: oneOrMore('max concurrent uploads', 0),
    reloads: true,
  },
  {
    key: 'max-download-attempts',
    flags: '--max-download-attempts <n>',
    kind: 'integer',
    description: 'how often a layer whose download breaks is taken up again (default: 5)',
    check: oneOrMore('max download attempts', 1),
    reloads: true,
  },
  {
    key: 'experimental',
    flags: '--experimental [bool]',
    kind: 'boolean',
    description: 'allow what is experimental in Docker: checkpoints',
  },
  {
    key: 'features',
    flags: '--feature <name[=bool]>',
    kind: 'switches',
    description:
      'buildkit: whether clients that ask build with BuildKit or with the classic builder (default: as they like)',
    check: (features: Record<string, boolean>) => {
      // what is off has no name
      for (const [name, isOn] of Object.entries(features))
        if (isOn && name !== 'buildkit')
          throw new OptionError(`feature ${name} has no meaning for this daemon`);
    },
  },
  {
    key: 'shutdown-timeout',
    flags: '--shutdown-timeout <seconds>',
    kind: 'integer',
    description: "for the daemon's own end; containers go on (default: 15)",
    reloads: true,
  },
  {
    key: 'default-ulimits',
    flags: '--default-ulimit <ulimit>',
    kind: 'ulimits',
    description: 'ulimit of containers that set no own, like nofile=1024:2048; may be repeated',
  },
  {
    key: 'default-shm-size',
    flags: '--default-shm-size <size>',
    kind: 'size',
    description: 'size of /dev/shm (default: 64m)',
    reloads: true,
  },
  { key: 'init', flags: '--init [bool]', kind: 'boolean', description: 'run an init in each container' },
  {
    key: 'no-new-privileges',
    flags: '--no-new-privileges [bool]',
    kind: 'boolean',
    description: 'for containers that do not say otherwise',
  },
  {
    key: 'default-ipc-mode',
    flags: '--default-ipc-mode <mode>',
    kind: 'string',
    description: 'IPC namespace of containers that name none: private or shareable (default: private)',
    check: requireIpcMode,
  },
  {
    key: 'default-cgroupns-mode',
    flags: '--default-cgroupns-mode <mode>',
    kind: 'string',
    description: 'cgroup namespace of containers that name none: private or host (default: private)',
    check: requireCgroupnsMode,
  },
  {
    key: 'seccomp-profile',
    flags: '--seccomp-profile <path>',
    kind: 'string',
    description: "instead of Docker's profile, for containers that name none",
  },
  {
    key: 'log-driver',
    flags: '--log-driver <driver>',
    kind: 'string',
    description: "of containers' logs (default: json-file)",
  },
  {
    key: 'log-opts',
    flags: '--log-opt <key=value>',
    kind: 'map',
    description: 'option of that driver; may be repeated',
  },
  {
    key: 'dns',
    flags: '--dns <address>',
    kind: 'list',
    description: 'name server of containers; may be repeated',
    check: addresses,
  },
  {
    key: 'dns-opts',
    flags: '--dns-opt <option>',
    kind: 'list',
    description: 'option in their resolv.conf; may be repeated',
  },
  {
    key: 'dns-search',
    flags: '--dns-search <domain>',
    kind: 'list',
    description: 'search domain; may be repeated',
  },
  {
    key: 'bip',
    flags: '--bip <cidr>',
    kind: 'string',
    description: 'address and subnet of the default bridge, like 10.1.0.1/24',
    check: requireBridgeAddress,
  },
  {
    key: 'fixed-cidr',
    flags: '--fixed-cidr <cidr>',
    kind: 'string',
    description: 'part of it that addresses are chosen from',
  },
  {
    key: 'mtu',
    flags: '--mtu <bytes>',
    kind: 'integer',
    description: 'MTU of the default bridge (default: 1500)',
  },
  {
    key: 'icc',
    flags: '--icc [bool]',
    kind: 'boolean',
    description: 'containers on the default bridge reach each other (default: true)',
  },
  {
    key: 'ip',
    flags: '--ip <address>',
    kind: 'address',
    description: 'address that ports of the default bridge are published on (default: 0.0.0.0)',
  },
  {
    key: 'host-networking',
    flags: '--host-networking [bool]',
    kind: 'boolean',
    description:
      "containers with --network host listen on the host's addresses and reach its localhost (default: true)",
  },
  {
    key: 'host-routes',
    flags: '--host-routes [bool]',
    kind: 'boolean',
    description:
      'the host reaches containers by their addresses, by an interface and routes that end with the daemon (default: false)',
  },
  {
    key: 'host-gateway-ip',
    flags: '--host-gateway-ip <address>',
    kind: 'address',
    description: "what `host-gateway` in --add-host stands for (default: the default bridge's gateway)",
  },
  {
    key: 'default-address-pools',
    flags: '--default-address-pool <pool>',
    kind: 'address-pools',
    description: 'subnets of networks are chosen from it, like base=10.0.0.0/8,size=24; may be repeated',
  },
  {
    key: 'backend',
    flags: '--backend <where>',
    kind: 'string',
    description: 'where containers run: local, or kubernetes, which is experimental (default: local)',
    choices: ['local', 'kubernetes'],
  },
  {
    key: 'kubeconfig',
    flags: '--kubeconfig <path>',
    kind: 'string',
    description: "how to reach the cluster (default: as kubectl, then the Pod's service account)",
  },
  {
    key: 'kube-context',
    flags: '--kube-context <name>',
    kind: 'string',
    description: "context of the kubeconfig (default: the file's current one)",
  },
  {
    key: 'kube-namespace',
    flags: '--kube-namespace <name>',
    kind: 'string',
    description: 'namespace of containers, volumes and records (default: default)',
  },
  {
    key: 'kube-runtime-class',
    flags: '--kube-runtime-class <name>',
    kind: 'string',
    description: "RuntimeClass of Pods (default: the nodes' own)",
  },
  {
    key: 'kube-supervisor-image',
    flags: '--kube-supervisor-image <image>',
    kind: 'string',
    description: 'image with process 1 of Pods; needed with --backend kubernetes',
  },
  {
    key: 'kube-service-account',
    flags: '--kube-service-account <name>',
    kind: 'string',
    description: "service account of Pods, whose token they don't get (default: the namespace's)",
  },
  {
    key: 'kube-node-selector',
    flags: '--kube-node-selector <key=value>',
    kind: 'map',
    description: 'label of nodes that Pods may run on; may be repeated',
  },
  {
    key: 'kube-tolerations',
    flags: '--kube-toleration <key[=value][:effect]>',
    kind: 'list',
    description: 'taint of nodes that Pods may run on all the same; may be repeated',
  },
  {
    key: 'kube-ttls',
    flags: '--kube-ttl <label=duration>',
    kind: 'map',
    description:
      'what has this label is removed so long after its creation, as org.testcontainers=1h; may be repeated',
  },
  {
    key: 'kube-storage-class',
    flags: '--kube-storage-class <name>',
    kind: 'string',
    description: "storage class of volumes (default: the cluster's)",
  },
  {
    key: 'kube-volume-size',
    flags: '--kube-volume-size <quantity>',
    kind: 'string',
    description: 'size of volumes that name none (default: 10Gi)',
  },
  {
    key: 'kube-volume-access',
    flags: '--kube-volume-access <mode>',
    kind: 'string',
    description: 'access mode of volumes (default: ReadWriteOnce)',
    choices: ['ReadWriteOnce', 'ReadWriteMany'],
  },
  {
    key: 'kube-publish',
    flags: '--kube-publish <way>',
    kind: 'string',
    description:
      'how ports are published: by the daemon, which listens on them, or as a Service of this type (default: listener)',
    choices: ['listener', 'NodePort', 'LoadBalancer'],
  },
  {
    key: 'kube-bind-paths',
    flags: '--kube-bind-path <path>',
    kind: 'list',
    description: 'directory of nodes that may be bound, with what is below it; may be repeated',
  },
  {
    key: 'kube-registry',
    flags: '--kube-registry <registry/repository>',
    kind: 'string',
    description:
      'repository for images that are loaded, imported, committed and built; nodes pull them there',
  },
  {
    key: 'kube-registry-secret',
    flags: '--kube-registry-secret <name>',
    kind: 'string',
    description:
      'Secret of the namespace (docker-registry) that lets the daemon and the nodes into that repository',
  },
];

/** What dockerd knows and this daemon has no use for, with the reason that is told. */
export const foreignDirectives: Readonly<Record<string, string>> = {
  'add-runtime': 'containers run in VMs of this daemon',
  'allow-nondistributable-artifacts': 'layers are pushed by the registry’s rules',
  'api-cors-header': 'browsers are not let in',
  'authorization-plugins': 'there are no plugins',
  bridge: 'bridges are in a private network namespace',
  'cgroup-parent': 'cgroups are the guest’s',
  'cluster-advertise': 'there is no swarm mode',
  'cluster-store': 'there is no swarm mode',
  'cluster-store-opts': 'there is no swarm mode',
  containerd: 'there is no containerd',
  'containerd-namespace': 'there is no containerd',
  'containerd-plugin-namespace': 'there is no containerd',
  'cpu-rt-period': 'cgroups are the guest’s',
  'cpu-rt-runtime': 'cgroups are the guest’s',
  'default-gateway': 'containers on the default bridge go out by its own address',
  'default-gateway-v6': 'the default bridge has no IPv6: make a network with it',
  'default-runtime': 'containers run in VMs of this daemon',
  'exec-opts': 'cgroups are the guest’s',
  'exec-root': 'use run-dir',
  'fixed-cidr-v6': 'the default bridge has no IPv6: make a network with it',
  'init-path': 'the init is the guest’s',
  'ip-forward': 'the host’s network is left alone',
  'ip-masq': 'the host’s network is left alone',
  iptables: 'the host’s network is left alone',
  ip6tables: 'the host’s network is left alone',
  ipv6: 'the default bridge has no IPv6: make a network with it',
  'live-restore': 'containers always outlive the daemon',
  'network-control-plane-mtu': 'there is no swarm mode',
  'node-generic-resources': 'there is no swarm mode',
  'oom-score-adjust': 'it is for the service manager to say, like systemd’s OOMScoreAdjust=',
  'raw-logs': 'logs have no colors: see log-format',
  rootless: 'it is nothing to choose: without root there are no VMs',
  runtimes: 'containers run in VMs of this daemon',
  'selinux-enabled': 'containers are kept apart by VMs',
  'storage-driver': 'layers are disks of the VMs',
  'storage-opts': 'layers are disks of the VMs: use storage-size',
  'swarm-default-advertise-addr': 'there is no swarm mode',
  'userland-proxy': 'published ports have a server of their own',
  'userland-proxy-path': 'published ports have a server of their own',
  'userns-remap': 'containers are kept apart by VMs',
};

/** Adds the options to a command. What it then parses is by `key`, and only what was given. */
export function addDaemonOptions(command: Command): Command {
  for (const option of daemonOptions) {
    const flag = flagOf(option).argParser((text: string, before: unknown) => parsed(option, text, before));
    if (option.kind === 'boolean') flag.preset('true');
    command.addOption(flag);
  }
  for (const [key, reason] of Object.entries(foreignDirectives)) command.addOption(foreignFlag(key, reason));
  return command;
}

/** A flag of dockerd's that is refused with the reason. Of a list the flag's name is the singular. */
function foreignFlag(key: string, reason: string): Option {
  const name = key.replace(/(plugin|opt|resource|artifact|runtime)s$/, '$1');
  const flag = new Option(`--${name} [value]`).preset('').hideHelp();
  flag.negate = false;
  return flag.argParser(() => {
    throw new InvalidArgumentError(`it has no meaning for this daemon: ${reason}`);
  });
}

function flagOf({ flags, description }: DaemonOption): Option {
  const flag = new Option(flags, description);
  flag.negate = false; // `--no-new-privileges` is a name
  return flag;
}

/** The flags that were given, by key. */
export function givenFlags(command: Command): Map<string, OptionValue> {
  const given = new Map<string, OptionValue>();
  const values = command.opts<Record<string, OptionValue>>();
  for (const option of daemonOptions) {
    const { key, check } = option;
    const value = values[flagOf(option).attributeName()];
    if (value === undefined) continue;
    (check as ((value: OptionValue) => void) | undefined)?.(value);
    given.set(key, value);
  }
  return given;
}

function parsed({ kind, choices, check }: DaemonOption, text: string, before: unknown): OptionValue {
  try {
    const value = readFlag(kind, text, before);
    requireChoice(choices, value);
    // Each option's check takes the values of its kind.
    (check as ((value: OptionValue) => void) | undefined)?.(value);
    return value;
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

export function requireChoice(choices: readonly string[] | undefined, value: OptionValue): void {
  if (choices === undefined || typeof value !== 'string' || choices.includes(value)) return;
  throw new OptionError(`${value} is none of ${choices.join(', ')}`);
}

/** dockerd's rule: a key may have one value. */
function requireLabels(labels: string[]): void {
  const values = new Map<string, string>();
  for (const label of labels) {
    const at = label.indexOf('=');
    if (at < 0 || label === '=') throw new OptionError(`bad attribute format: ${label}`);
    const before = values.get(label.slice(0, at));
    if (before !== undefined && before !== label)
      throw new OptionError(`conflict labels for ${label} and ${before}`);
    values.set(label.slice(0, at), label);
  }
}

function requireMirrors(mirrors: string[]): void {
  for (const mirror of mirrors) {
    const scheme = /^([a-z][\w+.-]*):/i.exec(mirror)?.[1] ?? '';
    if (scheme !== 'http' && scheme !== 'https') {
      throw new OptionError(
        `invalid mirror: unsupported scheme ${JSON.stringify(scheme)} in ${JSON.stringify(mirror)}`,
      );
    }
    if (!URL.canParse(mirror)) throw new OptionError(`invalid mirror: unable to parse ${mirror}`);
    const { search, hash, username } = new URL(mirror);
    if (search !== '' || hash !== '' || username !== '') {
      throw new OptionError('invalid mirror: path, query, or fragment at end of the URI, or user in it');
    }
  }
}

function requireIpcMode(mode: string): void {
  if (mode === 'private' || mode === 'shareable') return;
  const known = mode === 'host' || mode === 'none' || mode.startsWith('container:');
  throw new OptionError(
    known
      ? `IPC mode "${mode}" is not supported as default value; use "shareable" or "private"`
      : `default IPC mode setting (${mode}) is invalid; use "shareable" or "private"`,
  );
}

function requireCgroupnsMode(mode: string): void {
  if (mode === 'private' || mode === 'host') return;
  throw new OptionError(`default cgroup namespace mode (${mode}) is invalid; use "host" or "private"`);
}

function requireDiskSize(bytes: number): void {
  if (bytes < 64 * 1024 ** 2) throw new OptionError('a size of at least 64m is wanted, like 20g');
}

function requireBridgeAddress(text: string): void {
  const [address = '', prefix = ''] = text.split('/');
  requireAddress(address);
  const length = Number(prefix);
  if (!/^\d{1,2}$/.test(prefix) || length < 8 || length > 30)
    throw new OptionError(`invalid CIDR address: ${text}`);
}
