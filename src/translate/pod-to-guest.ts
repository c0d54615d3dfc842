// What the agent is told: the Pod's namespaces and interfaces, and each container.

import type {
  GuestContainerSpec,
  GuestDisk,
  GuestEmulator,
  GuestFile,
  GuestInterface,
  GuestPodSpec,
  GuestRoute,
  GuestTree,
} from '../vm/contract/protocol';
import type { PodContainerSpec, PodSpec } from './pod';

/** One endpoint of the Pod on the VM's NIC that carries it. */
export interface PodInterface {
  nic: number;
  name: string;
  mac: string;
  ipv4Address: string;
  ipv4PrefixLength: number;
  ipv4Gateway: string;
  ipv6Address: string;
  ipv6PrefixLength: number;
  ipv6Gateway: string;
  /** Without prefix length. */
  linkLocalIps: readonly string[];
  mtu: number;
}

export function guestInterface(endpoint: PodInterface): GuestInterface {
  const addresses = [];
  if (endpoint.ipv4Address !== '') {
    addresses.push(`${endpoint.ipv4Address}/${String(endpoint.ipv4PrefixLength)}`);
  }
  if (endpoint.ipv6Address !== '') {
    addresses.push(`${endpoint.ipv6Address}/${String(endpoint.ipv6PrefixLength)}`);
  }
  // RFC 3927 and RFC 4291
  for (const address of endpoint.linkLocalIps)
    addresses.push(`${address}/${address.includes(':') ? '64' : '16'}`);
  return { nic: endpoint.nic, name: endpoint.name, mac: endpoint.mac, addresses, mtu: endpoint.mtu };
}

/** The first endpoint with a gateway has the default routes, as in Docker. */
export function defaultRoutes(endpoints: readonly PodInterface[]): GuestRoute[] {
  const routes: GuestRoute[] = [];
  const v4 = endpoints.find((endpoint) => endpoint.ipv4Gateway !== '');
  if (v4 !== undefined) {
    routes.push({ destination: '0.0.0.0/0', gateway: v4.ipv4Gateway, interface: v4.name });
  }
  const v6 = endpoints.find((endpoint) => endpoint.ipv6Gateway !== '');
  if (v6 !== undefined) routes.push({ destination: '::/0', gateway: v6.ipv6Gateway, interface: v6.name });
  return routes;
}

export function guestPod(
  pod: PodSpec,
  endpoints: readonly PodInterface[],
  dnsForward: string[],
): GuestPodSpec {
  return {
    id: pod.id,
    hostname: pod.hostname,
    domainname: pod.domainname,
    interfaces: endpoints.map(guestInterface),
    routes: defaultRoutes(endpoints),
    sysctls: pod.sysctls,
    dnsForward,
  };
}

/** Channels of the process's streams, as allocated in this VM. */
export interface ProcessChannels {
  stdin?: number;
  stdout?: number;
  stderr?: number;
}

export function guestContainer(
  container: PodContainerSpec,
  given: {
    rootfs: { layers: GuestDisk[]; writable: GuestDisk; directory?: string };
    /** What mounts of type `tree` show. */
    trees?: GuestTree[];
    emulator?: GuestEmulator;
    files: GuestFile[];
    channels: ProcessChannels;
    consoleSize?: { rows: number; columns: number };
    /** Not the Pod's, but a network namespace with nothing in it. */
    ownNetwork?: boolean;
  },
): GuestContainerSpec {
  const { process } = container;
  return {
    id: container.id,
    rootfs: { ...given.rootfs, readonly: container.readonlyRootfs },
    ...(given.trees === undefined || given.trees.length === 0 ? {} : { trees: given.trees }),
    ...(given.emulator === undefined ? {} : { emulator: given.emulator }),
    process: {
      args: process.args,
      env: process.env,
      cwd: process.cwd,
      user: process.user,
      additionalGroups: process.additionalGroups,
      terminal: process.terminal,
      ...(given.consoleSize === undefined ? {} : { consoleSize: given.consoleSize }),
      capabilities: process.capabilities,
      noNewPrivileges: process.noNewPrivileges,
      rlimits: process.rlimits,
      oomScoreAdj: process.oomScoreAdj,
      seccomp: process.seccomp,
      ...given.channels,
    },
    init: container.init,
    pidNamespace: container.pidNamespace,
    ipcNamespace: container.ipcNamespace,
    utsNamespace: container.utsNamespace,
    ...(container.hostname === undefined ? {} : { hostname: container.hostname }),
    networkNamespace: given.ownNetwork === true ? 'container' : 'pod',
    cgroupNamespace: container.cgroupNamespace,
    mounts: container.mounts,
    files: given.files,
    devices: container.devices,
    deviceRules: container.deviceRules,
    maskedPaths: container.maskedPaths,
    readonlyPaths: container.readonlyPaths,
    cgroup: container.cgroup,
    ...(container.blockIo === undefined ? {} : { blockIo: container.blockIo }),
    sysctls: container.sysctls,
    privileged: container.privileged,
  };
}

/** A text file of the daemon's, bind-mounted over `path`. */
export function guestFile(path: string, content: string, readonly: boolean): GuestFile {
  return { path, contentBase64: Buffer.from(content).toString('base64'), mode: 0o644, readonly };
}
