// The one list of places where Caisson may differ from dockerd 20.10, each with its reason; those of the Kubernetes backend alone
// are in kubernetes-exceptions.ts.

import { kubernetesExceptions } from './kubernetes-exceptions';

export interface Exception {
  id: string;
  reason: string;
  /** For this engine alone; all if absent. */
  engine?: 'kubernetes';
  /** The cases don't run at all. */
  leftOut?: boolean;
  /** Full case names it holds for; all if absent. */
  cases?: RegExp;
  /** Of its observations, those with such labels; all if absent. */
  labels?: RegExp;
  /** Values at matching paths are not compared (`stdout[0].GraphDriver.Name`). */
  path?: RegExp;
  /** Replaced in plain text on both sides before comparing. */
  text?: readonly [RegExp, string];
}

export const exceptions: readonly Exception[] = [
  {
    id: 'storage driver',
    reason: 'Layers are disk images plugged into a VM, not directories that overlay2 mounts on the host.',
    path: /\.GraphDriver\./,
  },
  {
    id: 'name of the storage driver',
    reason: 'The same.',
    text: [/\b(overlay2|caisson-squashfs)\b/g, '<storage driver>'],
  },
  {
    id: 'mount options',
    reason: 'The guest’s kernel is built with 64-bit inode numbers on tmpfs, and says so.',
    text: [/,inode64/g, ''],
  },
  {
    id: 'API versions',
    reason:
      'New clients refuse an engine below 1.44; versions below 1.24 are not answered. docs/compatibility.md.',
    cases: /a version too (old|new)/,
    text: [/(Minimum|Maximum) supported API version is [\d.]+/, '$1 supported API version is <version>'],
  },
  {
    id: 'name server in messages',
    reason: 'Go says which server it asked, Node does not.',
    cases: /does not resolve|search for nothing/,
    text: [/(dial tcp: |getaddrinfo ).*/, '<not resolved>'],
  },
  {
    id: 'where an image archive is',
    reason:
      'dockerd unpacks it, and names files of its own temporary directory; Caisson names members of the archive.',
    cases: /: load /,
    text: [/(<tmp>|(\/[\w.-]+)+\/docker-import-\d+)\/?/g, ''],
  },
  {
    id: 'network of another container',
    reason: 'Comes with the networking issue; until then a warning says so.',
    cases: /container network of nobody/,
    path: /Warnings/,
  },
  {
    id: 'paths on the host',
    reason: 'Each engine keeps its files where it likes.',
    path: /\.(ResolvConfPath|HostnamePath|HostsPath|LogPath|SandboxKey)$/,
  },
  {
    id: 'data root',
    reason: 'The same, for the directories of volumes.',
    text: [/(\/[\w.-]+)+(?=\/volumes\/)/g, '<data root>'],
  },
  {
    id: 'cgroup version',
    reason:
      'The guest has cgroup v2; the dockerd that the tests start has what the host has, and defaults to match.',
    path: /\.HostConfig\.(CgroupnsMode|KernelMemory|KernelMemoryTCP|MemorySwappiness)$/,
  },
  {
    id: 'limits that depend on the kernel',
    reason:
      'dockerd asks the kernel of its host, with either cgroup version; a guest’s has cgroup v2, block I/O weights and no real-time groups.',
    cases: /: (CpuRealtime(Period|Runtime)|BlkioWeight(Device)?|KernelMemory(TCP)?|OomKillDisable)$/,
    path: /^value\.(created|started|warnings|exitCode|output|inspect)/,
  },
  {
    id: 'size of a terminal at create',
    reason:
      'A terminal has the size that create gave, as with later dockerds; 20.10 gives it none until it is resized.',
    cases: /ConsoleSize: of a terminal/,
    path: /^value\.output$/,
  },
  {
    id: 'sysctls of the machine',
    reason:
      'A container has a virtual machine of its own, so sysctls that belong to no namespace are allowed.',
    cases: /Sysctls: not in a namespace/,
    path: /^value\.(started|exitCode|output)/,
  },
  {
    id: 'apparmor and selinux',
    reason: 'The guest’s kernel has neither; dockerd names the profile it uses where the host has it.',
    path: /\.(AppArmorProfile|MountLabel|ProcessLabel)$/,
  },
  ...kubernetesExceptions,
];
