// Which binds containers of a cluster may have, and what a container's small files become.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ClusterRecord } from '../../../../src/cluster/contract/cluster-record';
import { BoundFiles } from '../../../../src/cluster/volumes/bound-files';
import { ClusterContainerVolumes } from '../../../../src/cluster/volumes/container-volumes';
import type { HostConfig } from '../../../../src/docker/types';
import { neverTimestamp } from '../../../../src/go/timestamp';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-binds-'));
  writeFileSync(join(dir, 'web.conf'), 'listen 80;');
});
afterAll(() => rmSync(dir, { recursive: true }));

function volumesOf(bindPaths: string[]): { volumes: ClusterContainerVolumes; secrets: Map<string, object> } {
  const secrets = new Map<string, object>();
  const files = new BoundFiles(
    {
      put: (name, data) => Promise.resolve(void secrets.set(name, data)),
      remove: (name) => Promise.resolve(void secrets.delete(name)),
    },
    true,
  );
  const volumes = new ClusterContainerVolumes({
    files,
    bindPaths,
    apiHosts: ['unix:///run/box.sock'],
    volumes: {
      keep: () => Promise.resolve(),
      ensure: ({ Name = 'anonymous' }) => Promise.resolve({ name: Name }),
      get: (name: string) => Promise.resolve({ claim: `claim-${name}` }),
    } as never,
    containers: {} as never,
  });
  return { volumes, secrets };
}

it('binds what the operator has allowed, and nothing else', async () => {
  const { volumes } = volumesOf(['/data/']);
  const bind = (source: string): Promise<object> => volumes.resolve({ Binds: [`${source}:/x`] }, []);
  await expect(bind('/data')).resolves.toBeDefined();
  await expect(bind('/data/below')).resolves.toBeDefined();
  await expect(bind('/data/../etc')).rejects.toThrow('--kube-bind-path');
  await expect(bind('/database')).rejects.toThrow('--kube-bind-path');
});

it('mounts nothing where the supervisor is', async () => {
  const { volumes } = volumesOf([]);
  const resolve = (hostConfig: HostConfig, imageVolumes: string[] = []): Promise<object> =>
    volumes.resolve(hostConfig, imageVolumes);
  await expect(resolve({ Binds: ['data:/x/../.caisson'] })).rejects.toThrow('supervisor');
  await expect(resolve({ Tmpfs: { '/.caisson/init': '' } })).rejects.toThrow('supervisor');
  await expect(resolve({}, ['/.caisson/'])).rejects.toThrow('supervisor');
  await expect(resolve({ Binds: ['data:/.caisson-data'] })).resolves.toBeDefined();
});

it('has a small file that is only read travel as a Secret, which goes with the container', async () => {
  const { volumes, secrets } = volumesOf([]);
  const source = join(dir, 'web.conf');
  await expect(volumes.resolve({ Binds: [`${source}:/etc/web.conf`] }, [])).rejects.toThrow('read-only');
  const hostConfig: HostConfig = {
    Mounts: [{ Type: 'bind', Source: source, Target: '/etc/web.conf', ReadOnly: true }],
  };
  const { points, details } = await volumes.resolve(hostConfig, []);
  const record = {
    id: 'c',
    mounts: points,
    mountDetails: details,
    hostConfig,
    state: { kind: 'created' },
  } as unknown as ClusterRecord;
  const parts = await volumes.podParts(record);
  expect([...secrets.values()]).toEqual([{ file: Buffer.from('listen 80;') }]);
  expect(parts.mounts).toEqual([
    { name: 'mount-0', mountPath: '/etc/web.conf', readOnly: true, subPath: 'file' },
  ]);
  await volumes.removed(record);
  expect(secrets.size).toBe(0);
});

function recordOf({
  points,
  details,
}: Awaited<ReturnType<ClusterContainerVolumes['resolve']>>): ClusterRecord {
  const state = { kind: 'created', startedAt: neverTimestamp };
  return {
    ...{
      id: 'c',
      mounts: points,
      mountDetails: details,
      hostConfig: {},
      state,
      source: { reference: 'image' },
    },
  } as unknown as ClusterRecord;
}

it('lets a file that travels be run, where it may be run here', async () => {
  const { volumes } = volumesOf([]);
  const source = join(dir, 'entry.sh');
  writeFileSync(source, 'exec true');
  chmodSync(source, 0o750);
  const parts = await volumes.podParts(
    recordOf(await volumes.resolve({ Binds: [`${source}:/entry.sh:ro`] }, [])),
  );
  const mode = parts.volumes?.[0]?.secret?.defaultMode ?? 0;
  expect(mode & 0o111).toBe(0o110);
});

it('gives a Pod one name of a claim, however often its container has the volume', async () => {
  const { volumes } = volumesOf([]);
  const resolved = await volumes.resolve({ Binds: ['data:/data', 'other:/other', 'data:/backup:ro'] }, []);
  const parts = await volumes.podParts(recordOf(resolved));
  expect(parts.volumes?.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName)).toEqual([
    'claim-data',
    'claim-other',
  ]);
  expect(parts.mounts).toEqual([
    { name: 'mount-0', mountPath: '/data' },
    { name: 'mount-1', mountPath: '/other' },
    { name: 'mount-0', mountPath: '/backup', readOnly: true },
  ]);
  const [fill] = parts.initContainers ?? [];
  expect(fill?.command?.filter((word) => word.includes('/mount-')).map((word) => word.slice(-1))).toEqual([
    ...['0', '1', '0'],
  ]);
  expect(fill?.volumeMounts?.map(({ name }) => name)).toEqual([expect.anything(), 'mount-0', 'mount-1']);
});

it('has process 1 make a socket where Docker’s is bound, and mounts nothing', async () => {
  const { volumes } = volumesOf(['/var/run']);
  const resolved = await volumes.resolve(
    {
      Binds: ['/var/run/../run/docker.sock:/var/run/docker.sock', '/run/box.sock:/box.sock:ro'],
      Mounts: [{ Type: 'bind', Source: '/run/docker.sock', Target: '/x/docker.sock' }],
    },
    [],
  );
  expect(resolved.points.map(({ Type, Source }) => `${Type} ${Source}`)).toEqual([
    'bind /var/run/docker.sock',
    'bind /run/box.sock',
    'bind /run/docker.sock',
  ]);
  const parts = await volumes.podParts(recordOf(resolved));
  expect(parts.sockets?.map(({ path }) => path)).toEqual([
    '/var/run/docker.sock',
    '/box.sock',
    '/x/docker.sock',
  ]);
  expect([parts.volumes, parts.mounts]).toEqual([[], []]);
  const readOnly = { Binds: ['/run/docker.sock:/run/docker.sock'], ReadonlyRootfs: true };
  await expect(volumes.resolve(readOnly, [])).rejects.toThrow('--read-only');
});
