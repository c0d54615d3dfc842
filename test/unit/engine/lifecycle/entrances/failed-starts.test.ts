import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ContainerCreateBody } from '../../../../../src/docker/types';
import type { StoredCheckpoint } from '../../../../../src/engine/lifecycle/checkpoints/checkpoint-store';
import { podOf } from '../../../../../src/engine/lifecycle/container-pod';
import { comparableSpec } from '../../../../../src/engine/lifecycle/checkpoints/restore';
import { startContainer } from '../../../../../src/engine/lifecycle/start';
import { disksOf } from '../../../../../src/engine/vms/pod-plan';
import { containerDisks } from '../../../../../src/translate/pod-to-vm';
import type { VmPool } from '../../../../../src/vm/contract/vm';
import { FakeVm, TestEngine } from '../../../../support/fakes/engine-fakes';

let engine: TestEngine;
let socket: Server;
/** What was given back, in its order. */
let trace: string[];
/** Resolves when nobody fills the container's volume. */
let volumeIsFree: () => Promise<void>;

beforeEach(async () => {
  trace = [];
  engine = new TestEngine();
  const disks = join(engine.dataRoot, 'disks');
  mkdirSync(disks);
  engine.disks.path = (id) => join(disks, `${id}.ext4`);
  socket = createServer().listen(join(engine.dataRoot, 'service.sock'));
  await once(socket, 'listening');
  follow();
});
afterEach(() => {
  socket.close();
  engine.dispose();
});

/** Writes down what is given back by whoever has taken it. */
function follow(): void {
  const { networks, parts } = engine;
  const release = networks.release.bind(networks);
  networks.release = (network, owner) => {
    if (networks.endpoints.has(`${network}/${owner}`)) trace.push('endpoint');
    return release(network, owner);
  };
  const unpublish = networks.unpublish.bind(networks);
  networks.unpublish = (id) => {
    trace.push('ports');
    if (readFileSync(engine.disks.path(id), 'utf8') !== 'own') trace.push('ports before the disk');
    return unpublish(id);
  };
  const openLog = parts.logs.openLog.bind(parts.logs);
  parts.logs.openLog = async (...args) => {
    const writer = await openLog(...args);
    const close = writer.close.bind(writer);
    writer.close = () => {
      trace.push('log');
      return close();
    };
    return writer;
  };
  const begin = parts.volumes.fillings.begin.bind(parts.volumes.fillings);
  volumeIsFree = async () => (await begin(['data'])).abandon();
  parts.volumes.fillings.begin = async (...args) => {
    const filling = await begin(...args);
    return {
      ...filling,
      abandon: () => {
        if (filling.names.size > 0) trace.push('volumes');
        return filling.abandon();
      },
    };
  };
  engine.vms.prepare = followVm;
}

function followVm(vm: FakeVm): void {
  const end = vm.end.bind(vm);
  vm.end = () => {
    trace.push('VM');
    return end();
  };
  // Of a process that has been made before the start failed: the guest kills it.
  vm.agent.on('container.signal', ({ id }) => {
    trace.push('process');
    setImmediate(() => vm.agent.exit(id, { exitCode: 137 }));
    return {};
  });
  vm.agent.on('container.remove', () => {
    trace.push('container');
    return {};
  });
}

/** One of the ways in: what is there before, and how it starts. */
interface Way {
  body: ContainerCreateBody;
  before?: () => Promise<unknown>;
  checkpoint?: (id: string) => Promise<StoredCheckpoint>;
}

const everything = (): ContainerCreateBody => ({
  Image: 'busybox',
  Cmd: ['sleep', '1'],
  HostConfig: { Binds: ['data:/data', `${join(engine.dataRoot, 'service.sock')}:/run/service.sock`] },
});
const withPorts = (more: ContainerCreateBody = {}): ContainerCreateBody => {
  const body = everything();
  const ports = { PortBindings: { '80/tcp': [{ HostPort: '80' }] } };
  return { ...body, ...more, HostConfig: { ...body.HostConfig, ...ports } };
};
const inPod = { Labels: { 'caisson.pod': 'web' } };

const ways: Record<string, () => Way> = {
  'a VM of its own': () => ({ body: withPorts() }),
  'a named Pod, as the first': () => ({ body: withPorts(inPod) }),
  'a named Pod that runs': () => ({
    body: withPorts(inPod),
    before: () => engine.running(inPod, 'first'),
  }),
  'the VM of another': () => {
    const body = everything();
    return {
      body: { ...body, HostConfig: { ...body.HostConfig, NetworkMode: 'container:donor' } },
      before: () => engine.running({}, 'donor'),
    };
  },
  'a checkpoint': () => ({
    body: { Image: 'busybox', Cmd: ['sleep', '1'], HostConfig: withPorts().HostConfig ?? {} },
    checkpoint: storedCheckpoint,
  }),
};
type WayName =
  | 'a VM of its own'
  | 'a named Pod, as the first'
  | 'a named Pod that runs'
  | 'the VM of another'
  | 'a checkpoint';

/** Of the container itself, as it would have been made while it ran. */
async function storedCheckpoint(id: string): Promise<StoredCheckpoint> {
  const { record } = engine.registry.get(id);
  const [writable, ...layers] = containerDisks([await disksOf(engine.parts, record)]);
  const all = [writable?.id ?? '', ...layers.map((layer) => layer.id)];
  const diskPath = join(engine.dataRoot, 'saved.ext4');
  writeFileSync(diskPath, 'saved');
  const short = id.slice(0, 12);
  return {
    diskPath,
    statePath: '/state',
    filesPath: '/files',
    record: {
      formatVersion: 2,
      containerId: id,
      layers: [...record.layers],
      writableDiskId: writable?.id ?? '',
      layerDiskIds: layers.map((layer) => layer.id),
      vm: {
        templateKey: 'k',
        resources: { memoryBytes: 2 ** 30, cpus: 2 },
        disks: Object.fromEntries(all.map((disk, lun) => [disk, lun])),
        sharesFiles: true,
      },
      run: { pid: 7, channels: { stdout: 1, stderr: 2 } },
      mounts: [
        { target: '/data', name: `${short}-0`, kind: 'files', readOnly: false },
        { target: '/run/service.sock', name: `${short}-1`, kind: 'socket', readOnly: false },
      ],
      logged: { stdout: 0, stderr: 0 },
      spec: comparableSpec(podOf(engine.parts, record)),
    },
  };
}

function restoring(fail?: Error): VmPool['restore'] {
  return async (podId, _saved, source) => {
    if (fail !== undefined) throw fail;
    const vm = new FakeVm(`vm${String(engine.vms.vms.length)}`);
    engine.vms.vms.push(vm);
    engine.vms.prepare(vm);
    await vm.associate(podId);
    await vm.plugDisks(source.disks.map(({ disk }) => disk));
    return vm;
  };
}

const no = new Error('no');
const refuse = (): Promise<never> => Promise.reject(no);

/** Has a step fail, on the VM that is there or on the one that comes. */
function onVm(fail: (vm: FakeVm) => void): void {
  for (const vm of engine.vms.vms) fail(vm);
  const { prepare } = engine.vms;
  engine.vms.prepare = (vm) => {
    prepare(vm);
    fail(vm);
  };
}

const fresh: WayName[] = ['a VM of its own', 'a named Pod, as the first'];
const joining: WayName[] = ['a named Pod that runs', 'the VM of another'];
const guests: WayName[] = [...fresh, ...joining];
const all: WayName[] = [...guests, 'a checkpoint'];
const withEndpoint: WayName[] = [...fresh, 'a named Pod that runs', 'a checkpoint'];
const ownsVm: WayName[] = [...fresh, 'a checkpoint'];

/** Each step that a start takes, how it fails, and which ways have it. */
const steps: Record<string, { of: WayName[]; fail: () => void }> = {
  'its layers': { of: all, fail: () => (engine.layers.bundle = refuse) },
  'its log': { of: all, fail: () => (engine.parts.logs.openLog = refuse) },
  'an endpoint': { of: withEndpoint, fail: () => (engine.networks.allocateFailure = no) },
  'a VM': {
    of: ownsVm,
    fail: () => {
      engine.vms.failure = no;
      engine.vms.restore = restoring(no);
    },
  },
  'its disks': { of: guests, fail: () => onVm((vm) => (vm.plugFailure = no)) },
  'the namespaces': {
    of: ownsVm,
    fail: () =>
      onVm(({ agent }) => {
        agent.on('pod.setup', refuse);
        agent.on('pod.renew', refuse);
      }),
  },
  'a NIC': { of: ownsVm, fail: () => (engine.networks.attachFailure = no) },
  'its ports': { of: withEndpoint, fail: () => (engine.networks.publishFailure = no) },
  'its volumes': { of: all, fail: () => (engine.parts.volumes.fillings.begin = refuse) },
  'the shares': { of: guests, fail: () => onVm((vm) => (vm.shareFiles = refuse)) },
  'its sockets': { of: guests, fail: () => onVm((vm) => vm.agent.on('tunnel.listen', refuse)) },
  'the process': {
    of: all,
    fail: () =>
      onVm(({ agent }) => {
        agent.on('container.start', refuse);
        agent.on('container.freeze', refuse);
      }),
  },
  'its record': {
    of: all,
    fail: () => {
      const put = engine.documents.put.bind(engine.documents);
      engine.documents.put = (collection, id, value) => {
        if (JSON.stringify(value).includes('"kind":"running"')) throw no;
        put(collection, id, value);
      };
    },
  },
};

/** Everything that a start takes of anybody. */
function taken(id: string): unknown {
  const { record, state } = engine.registry.get(id);
  const marker = join(engine.parts.volumes.hostPath('data'), '..', 'filling');
  return {
    vms: engine.vms
      .list()
      .map((vm) => ({ id: vm.id, state: vm.state, disks: [...vm.pluggedDisks().keys()].sort() })),
    pods: engine.parts.pods
      .list()
      .map((pod) => ({ id: pod.id, members: [...pod.members.keys()], streams: [...pod.containers.keys()] })),
    endpoints: [...engine.networks.endpoints.keys()],
    ports: engine.networks.published,
    log: engine.logs.source(record).open === undefined,
    disk: readFileSync(engine.disks.path(id), 'utf8'),
    diskBefore: existsSync(`${engine.disks.path(id)}.before`),
    volumeIsMarked: existsSync(marker),
    names: engine.registry.get('tested').id,
    networks: Object.values(record.networks).map(({ endpoint }) => endpoint),
    portsOfRecord: record.publishedPorts,
    kind: state.kind,
    held: engine.parts.podHolds.has(record.podId),
  };
}

async function prepared(name: string): Promise<{ id: string; start: () => Promise<void> }> {
  const way = ways[name]!();
  await way.before?.();
  const id = await engine.create(way.body, 'tested');
  writeFileSync(engine.disks.path(id), 'own');
  const find = way.checkpoint;
  const container = engine.registry.get(id);
  engine.vms.restore = restoring();
  return {
    id,
    start: () =>
      container.operations.run(() =>
        startContainer(engine.parts, container, find === undefined ? undefined : () => find(id)),
      ),
  };
}

/** What is given back when the last step fails, and in what order. A start that fails before has less of it to give back. */
const order: Record<WayName, string[]> = {
  'a VM of its own': ['VM', 'volumes', 'ports', 'endpoint', 'log'],
  'a named Pod, as the first': ['VM', 'endpoint', 'volumes', 'ports', 'log'],
  'a named Pod that runs': ['process', 'container', 'volumes', 'ports', 'log'],
  'the VM of another': ['process', 'container', 'volumes', 'ports', 'log'],
  'a checkpoint': ['VM', 'ports', 'endpoint', 'log'],
};

describe.each(Object.entries(steps))('a start that fails at %s', (step, { of, fail }) => {
  test.each(of)('on the way into %s gives everything back', async (way) => {
    const { id, start } = await prepared(way);
    const before = taken(id);
    trace = [];
    fail();
    await expect(start()).rejects.toThrow('no');
    await engine.parts.background.settled();
    await volumeIsFree();
    expect(taken(id)).toEqual(before);
    expect(engine.registry.get(id).state).toMatchObject({
      exitCode: 128,
      error: expect.stringContaining('no') as string,
    });
    expect(trace).toEqual(order[way].filter((what) => trace.includes(what)));
    if (step !== 'its record') return;
    expect(trace).toEqual(order[way]);
    // As dockerd, which connects before it makes the process.
    const told = withEndpoint.includes(way) ? ['connect', 'disconnect'] : ['create'];
    expect(engine.actions().slice(-told.length)).toEqual(told);
  });
});

test.each(all)('a start that failed on the way into %s succeeds when the reason is gone', async (way) => {
  const { id, start } = await prepared(way);
  const { prepare } = engine.vms;
  steps['the process']?.fail();
  await expect(start()).rejects.toThrow('no');
  engine.vms.prepare = prepare;
  for (const vm of engine.vms.vms) vm.agent.on('container.start', () => ({ pid: 1 }));
  await start();
  expect(engine.state(id)).toBe('running');
});

test('a start from a checkpoint that succeeds has the disk of then', async () => {
  const { id, start } = await prepared('a checkpoint');
  await start();
  expect(readFileSync(engine.disks.path(id), 'utf8')).toBe('saved');
  expect(engine.vms.last.agent.requests.map(({ op }) => op)).toEqual([
    ...['pod.renew', 'container.rename', 'container.update'],
    ...['container.file', 'container.file', 'container.file', 'container.freeze'],
  ]);
});
