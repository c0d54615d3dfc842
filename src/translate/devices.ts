// Device nodes and device rules of a container. The nodes are the VM's: no device of the host is reachable.

import { DaemonError } from '../errors';
import type { GuestDevice, GuestDeviceRule } from '../vm/contract/protocol';

type Numbers = readonly [type: 'c' | 'b', major: number, minor: number];

const defaultDevices: readonly (readonly [path: string, ...numbers: Numbers])[] = [
  ['/dev/null', 'c', 1, 3],
  ['/dev/zero', 'c', 1, 5],
  ['/dev/full', 'c', 1, 7],
  ['/dev/random', 'c', 1, 8],
  ['/dev/urandom', 'c', 1, 9],
  ['/dev/tty', 'c', 5, 0],
];

/** The guest's own node of a character device that is the same in every Linux: what a bind of it means. */
export function guestNodeOf(major: number, minor: number): string | undefined {
  return defaultDevices.find(
    ([, type, ...numbers]) => type === 'c' && numbers[0] === major && numbers[1] === minor,
  )?.[0];
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

/** What `--device` may name besides the defaults: character devices with numbers of their own in every Linux. */
const knownDevices = new Map<string, Numbers>([
  ...defaultDevices.map(([path, ...numbers]) => [path, numbers] as const),
  ['/dev/mem', ['c', 1, 1]],
  ['/dev/kmsg', ['c', 1, 11]],
  ['/dev/console', ['c', 5, 1]],
  ['/dev/ttyS0', ['c', 4, 64]],
  ...range(64).map((index): [string, Numbers] => [`/dev/tty${String(index)}`, ['c', 4, index]]),
  ['/dev/ppp', ['c', 108, 0]],
  ['/dev/vhost-net', ['c', 10, 238]],
  ['/dev/vhost-vsock', ['c', 10, 241]],
  ['/dev/btrfs-control', ['c', 10, 234]],
  ['/dev/autofs', ['c', 10, 235]],
  ['/dev/fuse', ['c', 10, 229]],
  ['/dev/net/tun', ['c', 10, 200]],
  ['/dev/loop-control', ['c', 10, 237]],
  ['/dev/hwrng', ['c', 10, 183]],
  ['/dev/mapper/control', ['c', 10, 236]],
  ...range(64).map((index): [string, Numbers] => [`/dev/loop${String(index)}`, ['b', 7, index]]),
]);

const any = -1;
const deny = { allow: false, type: 'a', major: any, minor: any, access: 'rwm' } as const;

function allowed(type: 'c' | 'b', major: number, minor: number, access = 'rwm'): GuestDeviceRule {
  return { allow: true, type, major, minor, access };
}

/** Docker's rules: nodes of any kind may be made, the usual ones and terminals used. */
const defaultRules: readonly GuestDeviceRule[] = [
  deny,
  allowed('c', any, any, 'm'),
  allowed('b', any, any, 'm'),
  allowed('c', 1, 3),
  allowed('c', 1, 5),
  allowed('c', 1, 7),
  allowed('c', 1, 8),
  allowed('c', 1, 9),
  allowed('c', 5, 0),
  allowed('c', 5, 1),
  allowed('c', 5, 2),
  allowed('c', 136, any),
];

export interface DeviceMapping {
  PathOnHost?: string;
  PathInContainer?: string;
  CgroupPermissions?: string;
}

export interface ContainerDevices {
  devices: GuestDevice[];
  rules: GuestDeviceRule[];
}

/**
 * Throws Internal in Docker's words at start: a device that isn't in the VM, or a rule that can't be read. A privileged
 * container gets every node of the VM from the agent.
 */
export function containerDevices(options: {
  privileged: boolean;
  devices: readonly DeviceMapping[] | null | undefined;
  rules: readonly string[] | null | undefined;
}): ContainerDevices {
  const devices = defaultDevices.map(([path, ...numbers]) => deviceNode(path, numbers));
  if (options.privileged) {
    return { devices, rules: [{ allow: true, type: 'a', major: any, minor: any, access: 'rwm' }] };
  }
  const rules = [...defaultRules];
  for (const mapping of options.devices ?? []) {
    const hostPath = mapping.PathOnHost ?? '';
    const found = devicesAt(hostPath);
    if (found.length === 0) {
      throw new DaemonError(
        'Internal',
        `error gathering device information while adding custom device "${hostPath}": no such file or directory`,
      );
    }
    const target = orElse(mapping.PathInContainer, hostPath);
    const access = [...new Set(orElse(mapping.CgroupPermissions, 'rwm'))]
      .filter((letter) => 'rwm'.includes(letter))
      .join('');
    for (const [source, numbers] of found) {
      const path = target + source.slice(hostPath.length);
      const [type, major, minor] = numbers;
      if (!devices.some((device) => device.path === path)) devices.push(deviceNode(path, numbers));
      rules.push(allowed(type, major, minor, access));
    }
  }
  for (const rule of options.rules ?? []) rules.push(parseDeviceRule(rule));
  return { devices, rules };
}

/** The device of this path, or all below it where it is a directory, as Docker takes them. */
function devicesAt(path: string): (readonly [path: string, numbers: Numbers])[] {
  const numbers = knownDevices.get(path);
  if (numbers !== undefined) return [[path, numbers]];
  const folder = `${path.replace(/\/+$/, '')}/`;
  if (folder === '/dev/' || folder === '/') return [];
  return [...knownDevices].filter(([known]) => known.startsWith(folder));
}

function orElse(text: string | undefined, otherwise: string): string {
  return text === undefined || text === '' ? otherwise : text;
}

/** `c 10:229 rwm`; throws Internal `invalid device cgroup rule format`. */
export function parseDeviceRule(text: string): GuestDeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  const [, type, major, minor, access] = match ?? [];
  if (type === undefined || major === undefined || minor === undefined || access === undefined) {
    throw new DaemonError('Internal', `invalid device cgroup rule format: '${text}'`);
  }
  const number = (part: string): number => (part === '*' ? any : Number(part));
  return {
    allow: true,
    type: type as GuestDeviceRule['type'], // one of the pattern's letters
    major: number(major),
    minor: number(minor),
    access,
  };
}

function deviceNode(path: string, [type, major, minor]: Numbers): GuestDevice {
  return { path, type, major, minor, mode: 0o666, uid: 0, gid: 0 };
}
