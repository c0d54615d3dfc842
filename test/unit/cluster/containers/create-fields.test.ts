// Each field of Docker's create has its fate on a cluster, and meets it.

import {
  clusterRefusals,
  clusterWarnings,
  createFields,
  validateClusterLog,
} from '../../../../src/cluster/containers/create-fields';
import { configFields } from '../../../../src/docker/container-config-schema';
import { hostConfigFields } from '../../../../src/docker/host-config-schema';
import type { ContainerConfig, EndpointSettings, HostConfig } from '../../../../src/docker/types';
import { validateContainer } from '../../../../src/semantics/create/validation';

/** A value of each field that is not honoured. */
const samples: Record<string, unknown> = {
  Domainname: 'test',
  MacAddress: '02:00:00:00:00:01',
  'HostConfig.BlkioDeviceReadBps': [{ Path: '/dev/sda', Rate: 1 }],
  'HostConfig.BlkioDeviceReadIOps': [{ Path: '/dev/sda', Rate: 1 }],
  'HostConfig.BlkioDeviceWriteBps': [{ Path: '/dev/sda', Rate: 1 }],
  'HostConfig.BlkioDeviceWriteIOps': [{ Path: '/dev/sda', Rate: 1 }],
  'HostConfig.BlkioWeight': 500,
  'HostConfig.BlkioWeightDevice': [{ Path: '/dev/sda', Weight: 500 }],
  'HostConfig.Cgroup': 'container:x',
  'HostConfig.CgroupParent': '/parent',
  'HostConfig.CgroupnsMode': 'host',
  'HostConfig.CpuCount': 1,
  'HostConfig.CpuPercent': 1,
  'HostConfig.CpuRealtimePeriod': 1000,
  'HostConfig.CpuRealtimeRuntime': 1000,
  'HostConfig.CpusetCpus': '0',
  'HostConfig.CpusetMems': '0',
  'HostConfig.DeviceCgroupRules': ['c 1:3 rwm'],
  'HostConfig.DeviceRequests': [{ Count: 1 }],
  'HostConfig.Devices': [{ PathOnHost: '/dev/null' }],
  'HostConfig.IOMaximumBandwidth': 1,
  'HostConfig.IOMaximumIOps': 1,
  'HostConfig.IpcMode': 'host',
  'HostConfig.KernelMemory': 2 ** 24,
  'HostConfig.KernelMemoryTCP': 2 ** 24,
  'HostConfig.MaskedPaths': ['/proc/kcore'],
  'HostConfig.MemorySwap': 2 ** 30,
  'HostConfig.MemorySwappiness': 0,
  'HostConfig.OomKillDisable': true,
  'HostConfig.PidMode': 'host',
  'HostConfig.PidsLimit': 10,
  'HostConfig.ReadonlyPaths': ['/proc/sys'],
  'HostConfig.StorageOpt': { size: '1G' },
  'HostConfig.UTSMode': 'host',
  'HostConfig.UsernsMode': 'private',
};

function bodyWith(field: string): [ContainerConfig, HostConfig] {
  const [member, ofHost = ''] = field.split('.') as [string, string?];
  return ofHost === '' ? [{ [member]: samples[field] }, {}] : [{}, { [ofHost]: samples[field] }];
}

const withFate = (fate: string): string[] =>
  Object.entries(createFields).flatMap(([field, [its]]) => (its === fate ? [field] : []));

const host = { cpus: 2, hostNetworking: true, validateLog: validateClusterLog };

it('has an entry for each field that the API reads, and none else', () => {
  const read = [
    ...Object.keys(configFields),
    'NetworkingConfig',
    ...Object.keys(hostConfigFields).map((field) => `HostConfig.${field}`),
  ];
  expect(Object.keys(createFields).sort()).toEqual(read.sort());
});

it.each(withFate('warned'))('warns of %s', (field) => {
  const [config, hostConfig] = bodyWith(field);
  const name = field.replace('HostConfig.', '');
  const warnings =
    // Docker has words of its own for this one.
    name === 'OomKillDisable'
      ? validateContainer(config, hostConfig, host)
      : clusterWarnings(config, hostConfig);
  expect(warnings).toEqual([expect.stringMatching(new RegExp(`\\b${name} discarded(: .|\\.)`))]);
});

it.each(withFate('refused'))('refuses %s', (field) => {
  const [config, hostConfig] = bodyWith(field);
  expect(() => {
    validateContainer(config, hostConfig, host);
    clusterRefusals(config, hostConfig);
  }).toThrow();
});

it('says nothing of a body that wants nothing', () => {
  expect(clusterWarnings({}, {})).toEqual([]);
  expect(clusterWarnings({}, { MemorySwappiness: -1, PidsLimit: -1, OomKillDisable: false })).toEqual([]);
  expect(() => clusterRefusals({}, { NetworkMode: 'bridge', IpcMode: 'private' })).not.toThrow();
});

it.each<[string, ContainerConfig, HostConfig, Record<string, EndpointSettings>]>([
  ['Hostname', { Hostname: 'my_host.test' }, {}, {}],
  ['Hostname', { Hostname: 'Upper' }, {}, {}],
  ['ExtraHosts host-gateway', {}, { ExtraHosts: ['up:host-gateway', 'db:10.0.0.1'] }, {}],
  ['SecurityOpt apparmor and label', {}, { SecurityOpt: ['apparmor=mine'] }, {}],
  ['Tmpfs options', {}, { Tmpfs: { '/a': 'size=1m,mode=700' } }, {}],
  ['TmpfsOptions Mode', {}, { Mounts: [{ Type: 'tmpfs', Target: '/a', TmpfsOptions: { Mode: 0o700 } }] }, {}],
  ['IPAMConfig of web', {}, {}, { web: { IPAMConfig: { IPv4Address: '10.9.0.2' } } }],
  ['MacAddress of web', {}, {}, { web: { MacAddress: '02:00:00:00:00:01' } }],
  ['GwPriority of web', {}, {}, { web: { GwPriority: 1 } }],
])('warns of %s', (what, config, hostConfig, endpoints) => {
  expect(clusterWarnings(config, hostConfig, endpoints)).toEqual([
    expect.stringMatching(`^${what} discarded: .`),
  ]);
});

it('says nothing of what a Pod has', () => {
  const hostConfig = {
    Tmpfs: { '/a': '', '/b': 'rw,size=64m' },
    ExtraHosts: ['db:10.0.0.1'],
    SecurityOpt: ['no-new-privileges', 'seccomp=unconfined', 'apparmor=unconfined', 'label=disable'],
  };
  const endpoints = { web: { Aliases: ['db'], IPAMConfig: {} }, other: null };
  expect(clusterWarnings({ Hostname: 'web-1' }, hostConfig, endpoints)).toEqual([]);
});

it('refuses --ipc none', () => {
  expect(() => clusterRefusals({}, { IpcMode: 'none' })).toThrow('--ipc none');
});

it('refuses --network container:other', () => {
  expect(() => clusterRefusals({}, { NetworkMode: 'container:other' })).toThrow('--network container:other');
});

it('refuses --network none to who could leave it', () => {
  expect(() => clusterRefusals({}, { NetworkMode: 'none', CapAdd: ['NET_ADMIN'] })).not.toThrow();
  for (const more of [{ Privileged: true }, { CapAdd: ['cap_sys_admin'] }, { CapAdd: ['ALL'] }])
    expect(() => clusterRefusals({}, { NetworkMode: 'none', ...more })).toThrow('--network none with');
});

it('keeps lines beside the container, and refuses other places', () => {
  for (const Type of ['', 'json-file', 'local', 'none'])
    expect(() => validateClusterLog({ Type })).not.toThrow();
  expect(() => validateClusterLog({ Type: 'syslog' })).toThrow('the log driver syslog is not supported');
});

it('takes names of hosts in whatever case, and refuses those that no Pod can have', () => {
  const refusals = (entry: string) => (): void => clusterRefusals({}, { ExtraHosts: [entry] });
  expect(refusals('Data.Base-1:192.0.2.1')).not.toThrow();
  expect(refusals('six:2001:db8::1')).not.toThrow();
  for (const name of ['my_db', 'a b', 'a..b', '-a', ''])
    expect(refusals(`${name}:192.0.2.1`)).toThrow('--add-host');
});
