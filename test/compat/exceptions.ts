// The one list of places where Caisson may differ from dockerd 20.10, each with its reason.

export interface Exception {
  id: string;
  reason: string;
  /** Full case names it holds for; all if absent. */
  cases?: RegExp;
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
    id: 'paths on the host',
    reason: 'Each engine keeps its files where it likes.',
    path: /\.(ResolvConfPath|HostnamePath|HostsPath|LogPath|SandboxKey)$/,
  },
  {
    id: 'cgroup version',
    reason:
      'The guest has cgroup v2; the dockerd that the tests start has what the host has, and defaults to match.',
    path: /\.HostConfig\.(CgroupnsMode|KernelMemory|KernelMemoryTCP|MemorySwappiness)$/,
  },
  {
    id: 'apparmor and selinux',
    reason: 'The guest’s kernel has neither; dockerd names the profile it uses where the host has it.',
    path: /\.(AppArmorProfile|MountLabel|ProcessLabel)$/,
  },
];
