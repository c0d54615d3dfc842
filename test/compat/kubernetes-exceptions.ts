// Where Caisson in front of a Kubernetes cluster may differ from dockerd 20.10, each with its reason.

import type { Exception } from './exceptions';

const onCluster: readonly Omit<Exception, 'engine'>[] = [
  {
    id: 'pause',
    reason: 'Kubernetes cannot freeze a Pod; docker pause is refused by name.',
    cases: /: pause(: |$|, )|by status$|while it is paused|\bpaused\b/,
    leftOut: true,
  },
  {
    id: 'pause among other steps',
    reason: 'The same; the other steps are compared.',
    cases: /^events: of stop, kill, restart, pause, rename/,
    text: [
      /^((un)?pause |Error response from daemon: (docker pause is not|Container .* is not paused)).*\n/gm,
      '',
    ],
  },
  {
    id: 'pause of a service',
    reason: 'The same: it goes on.',
    cases: /^Compose v\d: a project from up to down/,
    text: [/^web 1 paused$/m, 'web 1 running'],
  },
  {
    id: 'binds',
    reason: 'Nodes have no files of this machine: a bind that the operator has not allowed is refused.',
    cases:
      /a path of the host$|^volumes: in a container: --volumes-from|diff: of one that was never started|copies: options and places: (files that are mounted|places that are links)/,
    leftOut: true,
  },
  {
    id: 'process 1',
    reason: 'It is the supervisor, which starts the command; its signals and its end are the command’s.',
    cases:
      /process 1 is the command|shares the namespaces of the container|the controlling terminal and job control/,
    leftOut: true,
  },
  {
    id: 'sizes of layers',
    reason: 'They are those of the registry’s blobs: compressed, and of empty directories some bytes.',
    cases: /^build: (steps: (metadata|RUN)|files: ADD)|^images: list and inspect: history/,
    text: [/\|[\d.]+[kMG]?B\b/g, '|<size>'],
  },
  {
    id: 'the order of what a step says',
    reason: 'It is the one in which the step has said it; dockerd may tell of one stream behind the other.',
    cases: /^build: steps: RUN, arguments, cache/,
    text: [/.\[0m(?=Removing)/g, ''],
  },
  {
    id: 'limits of what runs',
    reason: 'They are the Pod’s: update says that the container has to be stopped first.',
    cases: /: rename and update|: update, top, rename|fields of an update: while it runs/,
    leftOut: true,
  },
  {
    id: 'where volumes are',
    reason: 'Each is a PersistentVolumeClaim; no path of this machine leads to it.',
    cases: /^volumes|^errors: filters/,
    text: [/<data root>\/volumes\/[^/]+\/_data|pvc\/volume-[0-9a-f]{40}/g, '<volume>'],
  },
  {
    id: 'log drivers',
    reason: 'Lines are kept beside the container; every other driver is refused by name, known or not.',
    cases: /: unknown log driver|LogConfig: (syslog|fluentd)/,
    leftOut: true,
  },
  {
    id: 'namespaces of another container',
    reason: 'Each container is a Pod of its own; create refuses to share.',
    cases: /container network of nobody|the network of another|(PidMode|IpcMode): of|IpcMode: none/,
    leftOut: true,
  },
  {
    id: 'what networks keep',
    reason:
      'A network is made with a warning where the cluster’s plugin does not enforce policies, as that of the tests.',
    path: /\.body\.Warning$/,
  },
  {
    id: 'subnets',
    reason: 'Networks have none of their own: addresses are those of Pods.',
    path: /\.IPAM\.Config\b/,
  },
  {
    id: 'options of volumes',
    reason:
      'What a volume lies on, and how, is its storage class’s; a size is honoured, and no directory bears its name.',
    cases:
      /drivers and options that are none|: a long name|: a directory elsewhere, and one that is not there|: one in memory, gone with the last/,
    leftOut: true,
  },
  {
    id: 'when volumes are filled',
    reason:
      'Before the first run of a container, by its Pod: create makes none. And /etc cannot be one: a node has files of its own there.',
    cases: /^volumes: what fills them: a container that was only created/,
    leftOut: true,
  },
  {
    id: 'interfaces',
    reason: 'A Pod has one, whatever networks its container is on.',
    cases: /stats: each network has counters/,
    leftOut: true,
  },
  {
    id: 'address spaces',
    reason:
      'Networks have none of their own: an address that is asked for is warned of or refused, and configurations of them are refused.',
    cases:
      /networks: (subnets: (that are refused|drivers and scopes that are refused|of a configuration)|addresses: )|networks: create: (configuration only|from a configuration|link-local addresses|of IPv6|what is refused)|disconnect: (a stopped|a running container: addresses|from the default)|HTTP: (a subnet|addresses|connect of one that never)|servers of other names/,
    leftOut: true,
  },
  {
    id: 'routes',
    reason: 'They are the cluster’s, and an endpoint has no gateway and no MAC address that it tells of.',
    cases: /published ports: on an internal network|names: name, alias, link/,
    leftOut: true,
  },
  {
    id: 'names of networks',
    reason: 'They are the names of their objects, so there are no two of one name.',
    cases: /HTTP: of one name, told apart/,
    leftOut: true,
  },
  {
    id: 'files of names',
    reason: 'The node writes /etc/hosts; links are in the name server of the container.',
    cases: /names: (files of the resolver|links on the default bridge)|ExtraHosts: the gateway/,
    leftOut: true,
  },
  {
    id: 'host names',
    reason: 'A Pod has no domain, and one that is no label is warned of.',
    cases: /Config: Domainname|(Hostname|Domainname): too long|^run: process: hostname and domain name/,
    leftOut: true,
  },
  {
    id: 'interface of the cluster',
    reason: 'It gives MAC addresses, so one that is asked for is warned of.',
    cases: /own: MacAddress/,
    leftOut: true,
  },
  {
    id: 'what nodes decide',
    reason: 'Which CPUs, how many processes, masks and modes of memory mounts are theirs: each is warned of.',
    cases:
      /HostConfig: (MaskedPaths|ReadonlyPaths|Tmpfs|Mounts|Init)$|MaskedPaths: none|update: (Cpuset\w+: |all of them)/,
    leftOut: true,
  },
  {
    id: 'limits that nodes decide',
    reason:
      'They are warned of; a reservation is what the scheduler counts with, and a quota is of the period that the node has.',
    cases:
      /^fields of limits: (MemoryReservation|MemorySwappiness|CpuPeriod|CpusetCpus|PidsLimit|BlkioDevice\w+)$|: (CpusetCpus: the second|BlkioDevice\w+: not there)$/,
    path: /^value\.(output|started|exitCode)/,
  },
  {
    id: 'limits that nodes decide, among other things',
    reason: 'The same: the warning is left out of what is compared.',
    cases: /^inspect: with many options|^stats: a busy CPU/,
    text: [/^WARNING: (Domainname|PidsLimit) discarded.*\n/gm, ''],
  },
  {
    id: 'the host’s network',
    reason: 'A container has an address of its own, not a node’s, which is warned of.',
    cases: /^events of networks, volumes and images: the host’s network and none/,
    text: [/^WARNING: NetworkMode discarded.*\n/gm, ''],
  },
  {
    id: 'shared memory',
    reason: 'It is a volume of the Pod, by the name of its kind.',
    cases: /^build: steps: limits/,
    text: [/^tmpfs$/m, 'shm'],
  },
  {
    id: 'sysctls',
    reason:
      'Those that a node does not allow are refused; one of them is enough for the container that the fields share.',
    cases: /HostConfig: Sysctls$|Sysctls: (unknown|a bad value)/,
    leftOut: true,
  },
  {
    id: 'SYS_RESOURCE',
    reason:
      'Limits of processes and real-time budgets want it of the node, which those of the tests need not have.',
    cases: /: Ulimits|fields of an exec: all that|^Compose v\d: limits and health checks/,
    leftOut: true,
  },
  {
    id: 'devices',
    reason: 'They are the node’s, and refused.',
    cases: /: Device(s|CgroupRules|Requests)\b/,
    leftOut: true,
  },
  {
    id: 'name servers',
    reason: 'The cluster’s search domains come first; a server that has no address is refused.',
    cases: /HostConfig: Dns|Dns: nonsense/,
    leftOut: true,
  },
  {
    id: 'seccomp profiles',
    reason: 'Of one’s own, they want a kernel and rights that nodes of the tests need not have.',
    cases: /SecurityOpt: a profile/,
    leftOut: true,
  },
  {
    id: 'a path of this machine',
    reason: 'The case binds one.',
    cases: /members of HostConfig at the top/,
    leftOut: true,
  },
  {
    id: 'sizes of images',
    reason: 'No layer comes here: the registry tells of the compressed ones.',
    path: /\.(Size|VirtualSize|SharedSize|SizeRootFs)$/,
  },
  {
    id: 'sizes in words',
    reason: 'The same; what a claim holds no daemon can see.',
    cases: /^images: list and inspect: list one|^prune: |^disk usage: /,
    text: [/(?<= )(-1|[\d.]+[kMG]?)B\b/g, '<size>'],
  },
  {
    id: 'instructions that run nothing',
    reason: 'They have no container, which --rm=false could leave, and of which events could tell.',
    cases: /^build: (options: --rm=false|a client that goes away: in the middle of a RUN)/,
    leftOut: true,
  },
  {
    id: 'what is mounted',
    reason: 'Files are seen as the container sees them, its /dev included; a node adds no /.dockerenv.',
    cases: /^copies: what a path is, of one that is running/,
    labels: /^\/dev\/null$/,
    path: /^value\b/,
  },
  {
    id: 'what is exported',
    reason: 'The same.',
    cases: /^diff, export and commit: export/,
    text: [/^(\.dockerenv|dev\/(console|pts\/|shm\/))\n/gm, ''],
  },
  {
    id: 'CPUs and driver of info',
    reason: 'CPUs are those of all nodes; no storage driver is here.',
    cases: /^system: info has/,
    text: [/^(linux x86_64) \d+ (kubernetes|<storage driver>)/, '$1 <cpus> <driver>'],
  },
  {
    id: 'a limit of swap',
    reason: 'Swap is the node’s choice: the limit is warned of.',
    cases: /^events: of an OOM kill/,
    text: [/^WARNING: MemorySwap discarded.*\n/m, ''],
  },
  {
    id: 'sizes of containers',
    reason: 'Those of their images are part of what is told.',
    cases: /^inspect: size$/,
    leftOut: true,
  },
  {
    id: 'driver',
    reason: 'No storage driver is here.',
    path: /^(stdout\[\d+\]|value\.body)\.Driver$/,
  },
  {
    id: 'addresses',
    reason: 'The network of Pods is the cluster’s: it has no gateway and no MAC addresses that it tells of.',
    path: /\.(Gateway|IPPrefixLen|MacAddress)$/,
  },
];

export const kubernetesExceptions: readonly Exception[] = onCluster.map((exception) => ({
  ...exception,
  engine: 'kubernetes',
}));
