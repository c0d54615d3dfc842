// The mounts of a container: Docker's defaults, /dev/shm, and tmpfs.

import { DaemonError } from '../errors';
import type { GuestMount } from '../vm/contract/protocol';

/** `--tmpfs` or a mount of type tmpfs. Options are those of mount(8), Docker's included. */
export interface TmpfsMount {
  target: string;
  options: string[];
}

const tmpfsDefaults = ['noexec', 'nosuid', 'nodev'];
/** Pairs of which the later one wins. */
const opposites: readonly (readonly [string, string])[] = [
  ['ro', 'rw'],
  ['nosuid', 'suid'],
  ['nodev', 'dev'],
  ['noexec', 'exec'],
  ['sync', 'async'],
  ['dirsync', 'nodirsync'],
  ['remount', 'noremount'],
  ['mand', 'nomand'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['bind', 'nobind'],
  ['rbind', 'norbind'],
  ['unbindable', 'bindable'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
];
const flagOptions = new Set(opposites.flat());
const propagation = new Set([
  'private',
  'shared',
  'slave',
  'unbindable',
  'rprivate',
  'rshared',
  'rslave',
  'runbindable',
]);
const dataOptions = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/** Docker's defaults and the user's options; a later one replaces an earlier of its kind. Throws Internal for unknown ones. */
export function tmpfsOptions(userOptions: string): string[] {
  const given = [...tmpfsDefaults, ...userOptions.split(',')].filter((option) => option !== '');
  const kept = new Map<string, string>();
  for (const option of given) {
    const equals = option.indexOf('=');
    if (equals >= 0) {
      const name = option.slice(0, equals);
      if (!dataOptions.has(name)) {
        throw new DaemonError('Internal', `invalid tmpfs option ["${name}" "${option.slice(equals + 1)}"]`);
      }
      kept.set(name, option);
    } else if (propagation.has(option)) {
      continue; // in a VM of its own a tmpfs has no peer to propagate to
    } else if (flagOptions.has(option)) {
      const pair = opposites.find((candidate) => candidate.includes(option));
      kept.set(pair?.[0] ?? option, option);
    } else {
      throw new DaemonError('Internal', `invalid tmpfs option ["${option}"]`);
    }
  }
  return [...kept.values()];
}

export interface MountOptions {
  privileged: boolean;
  /** Undefined: no /dev/shm (IPC mode none). */
  shmBytes: number | undefined;
  /** Whose shared memory is at /dev/shm, as GuestMount has it; undefined: nobody else's, and nobody else may have it. */
  shmOf?: string;
  tmpfs: readonly TmpfsMount[];
}

/** In the order they are mounted: parents before what lies in them. A tmpfs on a default mount's place replaces it. */
export function containerMounts(options: MountOptions): GuestMount[] {
  const readOnlyUnlessPrivileged = options.privileged ? [] : ['ro'];
  const mounts: GuestMount[] = [
    { type: 'proc', source: 'proc', target: '/proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      type: 'tmpfs',
      source: 'tmpfs',
      target: '/dev',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      type: 'devpts',
      source: 'devpts',
      target: '/dev/pts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      type: 'sysfs',
      source: 'sysfs',
      target: '/sys',
      options: ['nosuid', 'noexec', 'nodev', ...readOnlyUnlessPrivileged],
    },
    {
      type: 'cgroup2',
      source: 'cgroup',
      target: '/sys/fs/cgroup',
      options: ['nosuid', 'noexec', 'nodev', ...readOnlyUnlessPrivileged],
    },
    { type: 'mqueue', source: 'mqueue', target: '/dev/mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  ];
  if (options.shmBytes !== undefined) {
    mounts.push({
      ...(options.shmOf === undefined
        ? { type: 'tmpfs', source: 'shm' }
        : { type: 'shm', source: options.shmOf }),
      target: '/dev/shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${String(options.shmBytes)}`],
    });
  }
  const replaced = new Set(options.tmpfs.map((mount) => mount.target));
  const kept = mounts.filter((mount) => !replaced.has(mount.target));
  for (const mount of options.tmpfs) {
    kept.push({ type: 'tmpfs', source: 'tmpfs', target: mount.target, options: mount.options });
  }
  return kept
    .map((mount, index) => ({ mount, index }))
    .sort(byDepth)
    .map(({ mount }) => mount);
}

function byDepth(a: { mount: GuestMount; index: number }, b: { mount: GuestMount; index: number }): number {
  const depth = (path: string): number => path.split('/').filter((part) => part !== '').length;
  return depth(a.mount.target) - depth(b.mount.target) || a.index - b.index;
}

/** As Docker masks them, unless the client gave its own or the container is privileged. */
export const defaultMaskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
];
export const defaultReadonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
