// A container's record as a Pod.

import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { podOf, processOf } from '../../../../src/cluster/containers/pod-plan';
import type { ContainerConfig, HostConfig } from '../../../../src/docker/types';
import { clusterRecord, clusterSettings } from '../../../support/fakes/cluster-fakes';

function specOf(hostConfig: HostConfig = {}, config: ContainerConfig = {}): V1PodSpec {
  const { spec } = podOf(clusterRecord({}, config, hostConfig), clusterSettings, []);
  if (spec === undefined) throw new Error('a Pod without a spec');
  return spec;
}

function containerOf(hostConfig: HostConfig = {}, config: ContainerConfig = {}): V1Container {
  const [container] = specOf(hostConfig, config).containers;
  if (container === undefined) throw new Error('a Pod without a container');
  return container;
}

it('gives no container the token of the cluster, nor the services of its namespace, and lets nobody start it again', () => {
  for (const spec of [specOf(), specOf({ Privileged: true })]) {
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
    });
    expect(JSON.stringify(spec)).not.toContain('serviceAccountToken"');
  }
});

it('runs the supervisor in the image by its digest, and the command in that', () => {
  const record = clusterRecord({}, { Env: ['A=b'], User: '7:8', WorkingDir: '/w' });
  const command = ['/.caisson/init', 'run', '/.caisson/run'];
  expect(containerOf()).toMatchObject({ image: record.source.reference, command });
  expect(specOf().initContainers).toMatchObject([{ image: clusterSettings.supervisorImage }]);
  const process = processOf(record, ['LINKED=yes']);
  expect(process).toMatchObject({ args: ['sleep', '60'] });
  expect(JSON.stringify(process)).toContain('A=b');
  expect(JSON.stringify(process)).toContain('LINKED=yes');
  expect(JSON.stringify(process)).toContain('/w');
});

it('limits what Docker limits, and reserves next to nothing', () => {
  expect(containerOf().resources).toEqual({});
  expect(containerOf({ Memory: 2 ** 30, NanoCpus: 1.5e9 }).resources).toEqual({
    limits: { memory: String(2 ** 30), cpu: '1500m' },
    requests: { memory: String(2 ** 24), cpu: '10m' },
  });
  expect(containerOf({ CpuQuota: 50_000, CpuPeriod: 200_000 }).resources?.limits).toEqual({ cpu: '250m' });
  expect(containerOf({ MemoryReservation: 1024, CpuShares: 512 }).resources).toEqual({
    requests: { memory: '1024', cpu: '500m' },
  });
});

it('has no more rights than it needs', () => {
  const { securityContext } = containerOf();
  expect(securityContext).toMatchObject({ seccompProfile: { type: 'RuntimeDefault' } });
  expect(securityContext?.privileged).toBeUndefined();
  expect(securityContext?.capabilities?.add).not.toContain('SYS_ADMIN');
  expect(containerOf({ CapAdd: ['CAP_NET_ADMIN'] }).securityContext?.capabilities?.add).toContain(
    'NET_ADMIN',
  );
  expect(containerOf({ ReadonlyRootfs: true }).securityContext?.readOnlyRootFilesystem).toBe(true);
  expect(containerOf({ Privileged: true }).securityContext).toMatchObject({ privileged: true });
  expect(containerOf({ SecurityOpt: ['seccomp=unconfined'] }).securityContext?.seccompProfile).toEqual({
    type: 'Unconfined',
  });
});

it('without a network its process 1 may leave the one of the Pod', () => {
  const { command, securityContext } = containerOf({ NetworkMode: 'none' });
  expect(command).toEqual(['/.caisson/init', 'alone', '/.caisson/run']);
  expect(securityContext?.capabilities?.add).toEqual(expect.arrayContaining(['SYS_ADMIN', 'NET_ADMIN']));
});

it('lets what the operator has set into the spec, and only that', () => {
  expect(specOf().runtimeClassName).toBeUndefined();
  const settings = {
    ...clusterSettings,
    runtimeClass: 'kata',
    serviceAccount: 'low',
    nodeSelector: { pool: 'vm' },
    tolerations: [{ key: 'vm', operator: 'Exists' as const, effect: 'NoSchedule' as const }],
  };
  expect(podOf(clusterRecord(), settings, []).spec).toMatchObject({
    runtimeClassName: 'kata',
    serviceAccountName: 'low',
    nodeSelector: { pool: 'vm' },
    tolerations: [{ key: 'vm', operator: 'Exists', effect: 'NoSchedule' }],
    automountServiceAccountToken: false,
  });
});

it('has the names of --add-host and --hostname that Kubernetes can have', () => {
  const spec = specOf({ ExtraHosts: ['db:10.0.0.7', 'six:fd00::7', 'up:host-gateway'] }, { Hostname: 'Web' });
  expect(spec.hostname).toBe('web');
  expect(spec.hostAliases).toEqual([
    { ip: '10.0.0.7', hostnames: ['db'] },
    { ip: 'fd00::7', hostnames: ['six'] },
  ]);
  expect(specOf({}, { Hostname: 'no_name' }).hostname).toBeUndefined();
});

it('takes what every area adds', () => {
  const part = {
    labels: { a: 'b' },
    volumes: [{ name: 'v', emptyDir: {} }],
    mounts: [{ name: 'v', mountPath: '/v' }],
    pullSecrets: ['key', 'key'],
  };
  const { metadata, spec } = podOf(clusterRecord(), clusterSettings, [part]);
  expect(metadata?.labels).toMatchObject({ a: 'b', 'caisson.io/container': 'true' });
  expect(spec?.volumes?.map(({ name }) => name)).toEqual(['caisson', 'caisson-run', 'v']);
  expect(spec?.containers[0]?.volumeMounts).toEqual([
    // what a node starts there with all that the Pod may, the container's users can't replace
    { name: 'caisson', mountPath: '/.caisson', readOnly: true },
    { name: 'caisson-run', mountPath: '/.caisson/run' },
    { name: 'v', mountPath: '/v' },
  ]);
  expect(spec?.imagePullSecrets).toEqual([{ name: 'key' }]);
});
