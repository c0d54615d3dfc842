// Linux capabilities as Docker names and combines them.

import { DaemonError } from '../errors';

/** Every capability of Linux 5.9 and later, in the order of their numbers. */
export const allCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** What a container has unless told otherwise. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

const known = new Set(allCapabilities);

/** Upper case with prefix, each once; `ALL` stays. `option` names the list in the error: `CapAdd` or `CapDrop`. */
export function normalizeCapabilities(names: readonly string[] | null | undefined, option: string): string[] {
  const normalized = new Set<string>();
  for (const given of names ?? []) {
    const upper = given.toUpperCase();
    if (upper === 'ALL') {
      normalized.add(upper);
      continue;
    }
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!known.has(name)) {
      throw new DaemonError('InvalidParameter', `invalid ${option}: unknown capability: "${name}"`);
    }
    normalized.add(name);
  }
  return [...normalized];
}

/** The set a container runs with. Throws InvalidParameter for unknown names. */
export function effectiveCapabilities(options: {
  privileged: boolean;
  add: readonly string[] | null | undefined;
  drop: readonly string[] | null | undefined;
}): string[] {
  const add = normalizeCapabilities(options.add, 'CapAdd');
  const drop = new Set(normalizeCapabilities(options.drop, 'CapDrop'));
  if (options.privileged) return [...allCapabilities];
  if (add.includes('ALL')) return allCapabilities.filter((name) => !drop.has(name));
  const extra = add.filter((name) => name !== 'ALL');
  if (drop.has('ALL')) return extra;
  const base = defaultCapabilities.filter((name) => !drop.has(name));
  // An added one stays even if it is dropped too, as Docker's order of the two steps has it.
  return [...new Set([...base, ...extra])];
}
