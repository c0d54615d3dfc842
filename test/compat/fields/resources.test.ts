// Every limit of HostConfig, in effect. dockerd's host may have either cgroup version: a probe says what both mean.

import { fieldCases } from '../harness/field-cases';

const host = (members: object): Record<string, unknown> => ({ HostConfig: members });
const mebibyte = 2 ** 20;
/** The first of these files of the container's cgroup that is there. */
const cgroup = (v2: string, v1: string): string =>
  `{ cat /sys/fs/cgroup/${v2} 2>/dev/null || cat /sys/fs/cgroup/${v1}; }`;
const refused = { alone: true, inspect: [] };

fieldCases('limits', {
  Memory: {
    set: host({ Memory: 64 * mebibyte }),
    probe: cgroup('memory.max', 'memory/memory.limit_in_bytes'),
  },
  MemorySwap: {
    set: host({ MemorySwap: 96 * mebibyte }),
    probe:
      'cat /sys/fs/cgroup/memory.swap.max 2>/dev/null || echo $(($(cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes) - 67108864))',
  },
  MemoryReservation: {
    set: host({ MemoryReservation: 32 * mebibyte }),
    probe: cgroup('memory.low', 'memory/memory.soft_limit_in_bytes'),
  },
  MemorySwappiness: {
    set: host({ MemorySwappiness: 7 }),
    probe:
      'if test -e /sys/fs/cgroup/memory.max; then cat /proc/sys/vm/swappiness; else cat /sys/fs/cgroup/memory/memory.swappiness; fi',
    inspect: [],
  },
  CpuShares: {
    set: host({ CpuShares: 512 }),
    probe:
      'cat /sys/fs/cgroup/cpu.weight 2>/dev/null || echo $((1 + ($(cat /sys/fs/cgroup/cpu/cpu.shares) - 2) * 9999 / 262142))',
  },
  CpuPeriod: {
    set: host({ CpuPeriod: 50_000 }),
    probe:
      'set -- $(cat /sys/fs/cgroup/cpu.max 2>/dev/null); if test $# = 2; then echo $2; else cat /sys/fs/cgroup/cpu/cpu.cfs_period_us; fi',
  },
  CpuQuota: {
    set: host({ CpuQuota: 25_000 }),
    probe:
      'set -- $(cat /sys/fs/cgroup/cpu.max 2>/dev/null); if test $# = 2; then echo $1; else cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us; fi',
  },
  CpusetCpus: { set: host({ CpusetCpus: '0' }), probe: 'grep Cpus_allowed_list /proc/self/status; nproc' },
  CpusetMems: { set: host({ CpusetMems: '0' }), probe: 'grep Mems_allowed_list /proc/self/status' },
  PidsLimit: { set: host({ PidsLimit: 77 }), probe: cgroup('pids.max', 'pids/pids.max') },
  Ulimits: {
    set: host({
      Ulimits: [
        { Name: 'nofile', Soft: 123, Hard: 456 },
        { Name: 'core', Soft: 0, Hard: 0 },
        { Name: 'stack', Soft: 4_194_304, Hard: -1 },
      ],
    }),
    probe: 'ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -Ss; ulimit -Hs',
  },
  BlkioDeviceReadBps: {
    set: host({ BlkioDeviceReadBps: [{ Path: '/dev/vda', Rate: 7_654_321 }] }),
    probe: `${cgroup('io.max', 'blkio/blkio.throttle.read_bps_device')} | grep -o 7654321 | head -n 1`,
  },
  BlkioDeviceWriteBps: {
    set: host({ BlkioDeviceWriteBps: [{ Path: '/dev/vda', Rate: 6_543_210 }] }),
    probe: `${cgroup('io.max', 'blkio/blkio.throttle.write_bps_device')} | grep -o 6543210 | head -n 1`,
  },
  BlkioDeviceReadIOps: {
    set: host({ BlkioDeviceReadIOps: [{ Path: '/dev/vda', Rate: 5432 }] }),
    probe: `${cgroup('io.max', 'blkio/blkio.throttle.read_iops_device')} | grep -o 5432 | head -n 1`,
  },
  BlkioDeviceWriteIOps: {
    set: host({ BlkioDeviceWriteIOps: [{ Path: '/dev/vda', Rate: 4321 }] }),
    probe: `${cgroup('io.max', 'blkio/blkio.throttle.write_iops_device')} | grep -o 4321 | head -n 1`,
  },
  Devices: {
    set: host({
      Devices: [
        { PathOnHost: '/dev/zero', PathInContainer: '/dev/other', CgroupPermissions: 'r' },
        { PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm' },
      ],
    }),
    probe:
      'stat -c "%F %t %T" /dev/other /dev/fuse; head -c 2 /dev/other | od -An -tx1; dd if=/dev/fuse count=0 2>&1 | head -n 1',
  },
  DeviceCgroupRules: {
    set: host({ DeviceCgroupRules: ['c 10:229 rwm', 'a *:* m', 'b 7:0 r'] }),
    probe: 'mknod /fuse c 10 229 && dd if=/fuse count=0 2>&1 | head -n 1; mknod /kmsg c 1 11 && cat /kmsg',
  },
  CgroupParent: { set: host({ CgroupParent: '/some' }) },
  DeviceRequests: { set: host({ DeviceRequests: [] }) },
});

fieldCases('limits, each in a container of its own', {
  NanoCpus: {
    set: host({ NanoCpus: 500_000_000 }),
    probe:
      'cat /sys/fs/cgroup/cpu.max 2>/dev/null || echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us)',
    alone: true,
    inspect: ['HostConfig.NanoCpus', 'HostConfig.CpuQuota', 'HostConfig.CpuPeriod'],
  },
  'NanoCpus: all': { set: host({ NanoCpus: 2e9 }), probe: 'nproc', alone: true },
  'NanoCpus: too many': { set: host({ NanoCpus: 1e12 }), ...refused },
  'NanoCpus: with a period': { set: host({ NanoCpus: 1e9, CpuPeriod: 1000 }), ...refused },
  'NanoCpus: with a quota': { set: host({ NanoCpus: 1e9, CpuQuota: 1000 }), ...refused },
  'Memory: below the minimum': { set: host({ Memory: 5 * mebibyte }), ...refused },
  'Memory: more than the machine has': {
    set: host({ Memory: 2 ** 46 }),
    probe: cgroup('memory.max', 'memory/memory.limit_in_bytes'),
    alone: true,
  },
  'Memory: its swap by default': {
    set: host({ Memory: 32 * mebibyte }),
    alone: true,
    inspect: ['HostConfig.Memory', 'HostConfig.MemorySwap'],
  },
  'MemorySwap: less than memory': {
    set: host({ Memory: 64 * mebibyte, MemorySwap: 32 * mebibyte }),
    ...refused,
  },
  'MemorySwap: without memory': { set: host({ MemorySwap: 32 * mebibyte }), ...refused },
  'MemorySwap: without limit': {
    set: host({ Memory: 64 * mebibyte, MemorySwap: -1 }),
    alone: true,
    inspect: ['HostConfig.MemorySwap'],
  },
  'MemoryReservation: below the minimum': { set: host({ MemoryReservation: mebibyte }), ...refused },
  'MemoryReservation: above memory': {
    set: host({ Memory: 32 * mebibyte, MemoryReservation: 64 * mebibyte }),
    ...refused,
  },
  'MemorySwappiness: out of range': { set: host({ MemorySwappiness: 101 }), ...refused },
  'KernelMemory: below the minimum': { set: host({ KernelMemory: mebibyte }), ...refused },
  'CpuShares: too few': { set: host({ CpuShares: 1 }), probe: 'true', ...refused },
  'CpuShares: negative': { set: host({ CpuShares: -1 }), ...refused },
  'CpuPeriod: too short': { set: host({ CpuPeriod: 10 }), ...refused },
  'CpuPeriod: too long': { set: host({ CpuPeriod: 2_000_000 }), ...refused },
  'CpuQuota: too small': { set: host({ CpuQuota: 10 }), ...refused },
  'CpusetCpus: the second': {
    set: host({ CpusetCpus: '1' }),
    probe: 'grep Cpus_allowed_list /proc/self/status',
    alone: true,
  },
  'CpusetCpus: beyond the machine': { set: host({ CpusetCpus: '99' }), ...refused },
  'CpusetCpus: nonsense': { set: host({ CpusetCpus: 'x' }), ...refused },
  'CpusetCpus: backwards': { set: host({ CpusetCpus: '1-0' }), ...refused },
  'CpusetCpus: one malformed among others': { set: host({ CpusetCpus: '99,abc' }), ...refused },
  'CpusetCpus: a comma too many': { set: host({ CpusetCpus: '0,' }), ...refused },
  'CpusetCpus: beyond any machine': { set: host({ CpusetCpus: '9999999' }), ...refused },
  'CpusetCpus: beyond 64 bits': { set: host({ CpusetCpus: '0-18446744073709551616' }), ...refused },
  'CpusetMems: beyond the machine': { set: host({ CpusetMems: '1' }), ...refused },
  // What these do is up to the host's kernel; the exceptions say so.
  CpuRealtimePeriod: { set: host({ CpuRealtimePeriod: 1_000_000 }), ...refused },
  CpuRealtimeRuntime: { set: host({ CpuRealtimeRuntime: 950_000 }), ...refused },
  BlkioWeight: { set: host({ BlkioWeight: 300 }), ...refused },
  BlkioWeightDevice: { set: host({ BlkioWeightDevice: [{ Path: '/dev/vda', Weight: 300 }] }), ...refused },
  KernelMemory: { set: host({ KernelMemory: 32 * mebibyte }), ...refused },
  KernelMemoryTCP: { set: host({ KernelMemoryTCP: 32 * mebibyte }), ...refused },
  OomKillDisable: { set: host({ OomKillDisable: true }), ...refused },
  CpuCount: { set: host({ CpuCount: 3 }), alone: true },
  CpuPercent: { set: host({ CpuPercent: 30 }), alone: true },
  'CpuPercent below zero': { set: host({ CpuPercent: -30 }), alone: true },
  IOMaximumIOps: { set: host({ IOMaximumIOps: 1 }), ...refused },
  IOMaximumBandwidth: { set: host({ IOMaximumBandwidth: 1 }), ...refused },
  'PidsLimit: without limit': {
    set: host({ PidsLimit: -1 }),
    probe: cgroup('pids.max', 'pids/pids.max'),
    alone: true,
  },
  'PidsLimit: zero': { set: host({ PidsLimit: 0 }), alone: true },
  'OomKillDisable: no': { set: host({ OomKillDisable: false }), alone: true },
  'BlkioDeviceReadBps: not there': {
    set: host({ BlkioDeviceReadBps: [{ Path: '/dev/no-such', Rate: 1 }] }),
    ...refused,
  },
  'BlkioDeviceWriteIOps: not there': {
    set: host({ BlkioDeviceWriteIOps: [{ Path: '/dev/no-such', Rate: 1 }] }),
    ...refused,
  },
  'Devices: not there': {
    set: host({
      Devices: [{ PathOnHost: '/dev/no-such', PathInContainer: '/dev/x', CgroupPermissions: 'rwm' }],
    }),
    ...refused,
  },
  'Devices: a directory without any': {
    set: host({ Devices: [{ PathOnHost: '/etc', PathInContainer: '/x', CgroupPermissions: 'rwm' }] }),
    inspect: [],
    alone: true,
  },
  'Devices: a file': {
    set: host({ Devices: [{ PathOnHost: '/etc/passwd', PathInContainer: '/x', CgroupPermissions: 'rwm' }] }),
    inspect: [],
    alone: true,
  },
  'Devices: a folder': {
    set: host({
      Devices: [{ PathOnHost: '/dev/net', PathInContainer: '/dev/net', CgroupPermissions: 'rwm' }],
    }),
    probe: 'ls /dev/net',
    alone: true,
  },
  'DeviceCgroupRules: nonsense': { set: host({ DeviceCgroupRules: ['nonsense'] }), ...refused },
  'Ulimits: unknown': { set: host({ Ulimits: [{ Name: 'nosuch', Soft: 1, Hard: 1 }] }), ...refused },
  'Ulimits: soft above hard': { set: host({ Ulimits: [{ Name: 'nofile', Soft: 9, Hard: 3 }] }), ...refused },
});
