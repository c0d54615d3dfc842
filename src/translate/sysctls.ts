// Which namespace a sysctl belongs to. Those that belong to none, which Docker refuses, are the VM's own: the container
// is alone there.

import { runcRefusal } from '../docker/runtime-text';

const ipcSysctls = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

/** The agent's: what the kernel runs on its own behalf, and names that come from elsewhere. */
const agentSysctls =
  /^kernel\.(modprobe|modules_disabled|hotplug|poweroff_cmd|usermodehelper\..*|core_pattern|core_pipe_limit|kexec_load_disabled|panic.*|sysrq|ctrl-alt-del|ns_last_pid|cad_pid)$/;
const vmSysctls = /^(vm|kernel|fs)\.[\w.-]+$/;

/** Docker's own, in every network namespace: low ports and ping need no capability. */
const defaultNetworkSysctls: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
};

export interface NamespacedSysctls {
  /** net.* and kernel.domainname: of the Pod's namespaces; others of vm, kernel and fs: the VM's. */
  pod: Record<string, string>;
  /** IPC's: of the container's own namespace. */
  container: Record<string, string>;
}

/** Throws Internal, as runc words it at start, for sysctls without a namespace of their own. */
export function namespacedSysctls(
  sysctls: Readonly<Record<string, string>> | null | undefined,
  namespaces: { hostNetwork: boolean; hostIpc: boolean; hostUts: boolean },
): NamespacedSysctls {
  const sorted: NamespacedSysctls = { pod: {}, container: {} };
  if (!namespaces.hostNetwork) Object.assign(sorted.pod, defaultNetworkSysctls);
  for (const [given, value] of Object.entries(sysctls ?? {})) {
    const name = given.replaceAll('/', '.');
    if (ipcSysctls.has(name) || name.startsWith('fs.mqueue.')) {
      if (namespaces.hostIpc) throw runcRefusal(`sysctl "${name}" is not allowed in the hosts ipc namespace`);
      sorted.container[name] = value;
    } else if (name.startsWith('net.')) {
      if (namespaces.hostNetwork) throw runcRefusal(`sysctl "${name}" not allowed in host network namespace`);
      sorted.pod[name] = value;
    } else if (name === 'kernel.domainname' && !namespaces.hostUts) {
      sorted.pod[name] = value;
    } else if (name === 'kernel.hostname') {
      throw runcRefusal(`sysctl "${name}" is not allowed as it conflicts with the OCI "hostname" field`);
    } else if (vmSysctls.test(name) && !agentSysctls.test(name)) {
      sorted.pod[name] = value;
    } else {
      throw runcRefusal(`sysctl "${name}" is not in a separate kernel namespace`);
    }
  }
  return sorted;
}
