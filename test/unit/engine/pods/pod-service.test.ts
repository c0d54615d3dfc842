import { PodDirectory } from '../../../../src/engine/pods/directory';
import { PodRecords } from '../../../../src/engine/core/pod-record';
import { EnginePods } from '../../../../src/engine/pods/pod-service';
import { nextPodPhase, type PodEvent, type PodPhase } from '../../../../src/engine/core/pod-state';
import { EngineVms } from '../../../../src/engine/pods/vm-service';
import type { PodTemplate } from '../../../../src/api/v1/types';
import { TestEngine, type FakeVm } from '../../../support/fakes/engine-fakes';

let engine: TestEngine;
let pods: EnginePods;
let vms: EngineVms;

beforeEach(() => {
  engine = new TestEngine();
  ({ pods, vms } = servicesOf(engine));
});
afterEach(() => engine.dispose());

function servicesOf(of: TestEngine): { pods: EnginePods; vms: EngineVms; records: PodRecords } {
  of.vms.prepare = obeySignals;
  const records = new PodRecords(of.documents);
  const directory = new PodDirectory(of.registry, records);
  const service = new EnginePods({ engine: of.parts, stats: of.stats, records, directory });
  return { pods: service, vms: new EngineVms(of.vms, directory), records };
}

/** Processes that end with the first signal. */
function obeySignals(vm: FakeVm): void {
  vm.agent.on('container.signal', ({ id, signal }) => {
    vm.agent.exit(id, { exitCode: 128 + signal });
    return {};
  });
}

/** Of containers that sleep, by name or as given. */
function template(
  name: string,
  containers: (string | PodTemplate['containers'][number])[] = ['main'],
  more: Partial<PodTemplate> = {},
): PodTemplate {
  return {
    name,
    ...more,
    containers: containers.map((container) =>
      typeof container === 'string' ? { name: container, body: { Image: 'busybox' } } : container,
    ),
  };
}

const init = { name: 'init', role: 'init', body: { Image: 'busybox' } } as const;
const sidecar = { name: 'side', role: 'sidecar', body: { Image: 'busybox' } } as const;

async function running(...args: Parameters<typeof template>): Promise<string> {
  await pods.create(template(...args));
  return (await pods.start(args[0])).vmId;
}

function status(pod: string): Record<string, string> {
  return Object.fromEntries(
    pods.inspect(pod).containers.map((container) => [container.name, container.status]),
  );
}

/** Until the Pod is what it says: what follows a container's end is done in the background. */
async function comesTo(pod: string, state: 'Created' | 'Running'): Promise<void> {
  while (pods.inspect(pod).state !== state) await new Promise(setImmediate);
}

describe('the state machine', () => {
  const phases: PodPhase[] = ['Making', 'Created', 'Starting', 'Running'];
  const arrows: Record<PodPhase, Partial<Record<PodEvent, PodPhase>>> = {
    Making: { made: 'Created' },
    Created: { run: 'Starting' },
    Starting: { started: 'Running', rest: 'Created' },
    Running: { rest: 'Created' },
  };
  const events: PodEvent[] = ['made', 'run', 'started', 'rest'];
  it.each(phases.flatMap((phase) => events.map((event) => [phase, event, arrows[phase][event]] as const)))(
    '%s, %s: %s',
    (phase, event, after) => expect(nextPodPhase(phase, event)).toBe(after),
  );
});

describe('create', () => {
  it('allocates and attaches nothing', async () => {
    const { id } = await pods.create(template('web', ['a', 'b'], { labels: { tier: 'front' } }));
    expect(pods.inspect('web')).toMatchObject({
      id,
      state: 'Created',
      detail: '',
      kind: 'pod',
      addresses: {},
    });
    expect(engine.disks.disks.size).toBe(2);
    expect(engine.vms.vms).toHaveLength(0);
    expect(engine.registry.get('web-a').record.config.Labels).toMatchObject({
      'caisson.pod': 'web',
      'caisson.pod.container': 'a',
      tier: 'front',
    });
  });

  it('leaves nothing when a container can not be made', async () => {
    const bad = { name: 'b', body: { Image: 'nosuch' } };
    await expect(pods.create(template('web', ['a', bad]))).rejects.toMatchObject({ code: 'NotFound' });
    expect(engine.registry.list()).toHaveLength(0);
    expect(engine.disks.disks.size).toBe(0);
    expect(pods.list()).toHaveLength(0);
  });

  it('is undone by the next daemon when it was cut short', async () => {
    await pods.create(template('web'));
    const { documents } = engine;
    const record = documents.all<object>('pods')[0]!;
    documents.put('pods', pods.inspect('web').id, { ...record, phase: 'Making' });
    const next = new TestEngine(engine);
    next.registry.load();
    const service = servicesOf(next);
    service.pods.recover();
    await next.parts.background.settled();
    expect(next.registry.list()).toHaveLength(0);
    expect(service.records.list()).toHaveLength(0);
  });

  it.each<[string, PodTemplate, RegExp]>([
    ['a bad name', template('-'), /name: "-" is invalid/],
    ['no container', template('web', []), /containers: a Pod needs at least one/],
    ['only init containers', template('web', [init]), /at least one container of the role main/],
    ['two of a name', template('web', ['a', 'a']), /containers\[1\].name: there are two containers "a"/],
    [
      'a network of a container',
      template('web', [{ name: 'a', body: { Image: 'busybox', HostConfig: { NetworkMode: 'host' } } }]),
      /containers\[0\].body.HostConfig.NetworkMode/,
    ],
    [
      'namespaces of a stranger',
      template('web', [{ name: 'a', body: { Image: 'busybox', HostConfig: { PidMode: 'container:x' } } }]),
      /containers\[0\].body.HostConfig.PidMode/,
    ],
    ['labels of ours', template('web', ['a'], { labels: { 'caisson.pod': 'x' } }), /labels\["caisson.pod"\]/],
    [
      'ports without a network',
      template('web', ['a'], { networks: [], portMappings: [{ containerPort: 80 }] }),
      /portMappings: a Pod without a network/,
    ],
  ])('refuses %s', async (_what, bad, message) => {
    await expect(pods.create(bad)).rejects.toMatchObject({ code: 'InvalidParameter' });
    await expect(pods.create(bad)).rejects.toThrow(message);
  });

  it('takes a name of one letter, as Kubernetes does, and none that Docker could not take', async () => {
    await pods.create(template('a'));
    expect(engine.registry.get('a-main').name).toBe('a-main');
    await expect(pods.create(template('-a'))).rejects.toThrow('invalid Pod: name: "-a" is invalid');
  });

  it('refuses a name that a Pod or a label has', async () => {
    await pods.create(template('web'));
    await expect(pods.create(template('web'))).rejects.toMatchObject({ code: 'Conflict' });
    await engine.create({ Labels: { 'caisson.pod': 'cache' } }, 'redis');
    await expect(pods.create(template('cache'))).rejects.toThrow(
      /containers with the label caisson.pod: redis/,
    );
  });
});

describe('start', () => {
  it('puts all containers on one VM', async () => {
    const vmId = await running('web', ['a', 'b']);
    expect(engine.vms.vms).toHaveLength(1);
    expect(pods.inspect('web')).toMatchObject({ state: 'Running', detail: '', vmId });
    expect(status('web')).toEqual({ a: 'running', b: 'running' });
  });

  it('waits for init containers, and keeps their VM', async () => {
    engine.vms.prepare = (vm) => {
      obeySignals(vm);
      vm.agent.on('container.start', ({ container }) => {
        if (container.id === engine.registry.get('web-init').id)
          setImmediate(() => vm.agent.exit(container.id));
        return { pid: 1 };
      });
    };
    await running('web', [init, 'a']);
    expect(engine.vms.vms).toHaveLength(1);
    expect(status('web')).toEqual({ init: 'exited', a: 'running' });
  });

  it('fails with an init container, and leaves no VM', async () => {
    engine.vms.prepare = (vm) => {
      vm.agent.on('container.start', ({ container }) => {
        setImmediate(() => vm.agent.exit(container.id, { exitCode: 3 }));
        return { pid: 1 };
      });
    };
    await pods.create(template('web', [init, 'a']));
    await expect(pods.start('web')).rejects.toThrow(
      "Pod web can't start: its init container init ended with 3",
    );
    expect(pods.inspect('web').state).toBe('Created');
    expect(engine.vms.list()).toHaveLength(0);
  });

  it('refuses a Pod that runs, one whose container is gone, and a VM that is not there', async () => {
    await running('web');
    await expect(pods.start('web')).rejects.toMatchObject({
      code: 'Conflict',
      message: 'Pod web is running already',
    });
    await pods.create(template('half', ['a', 'b']));
    await engine.containers.remove('half-b', { force: false, volumes: false, link: false });
    await expect(pods.start('half')).rejects.toThrow(
      "Pod half can't start: of its containers b were removed",
    );
    await pods.create(template('other'));
    await expect(pods.start('other', { vmId: 'nosuch' })).rejects.toMatchObject({
      code: 'NotFound',
      message: 'No such VM: nosuch',
    });
    engine.vms.unanswered = [{ id: 'nosuch-yet', state: { kind: 'Idle' } }];
    await expect(pods.start('other', { vmId: 'nosuch' })).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining(
        'VM nosuch-yet is of an earlier daemon, and has not answered',
      ) as string,
    });
    expect(pods.inspect('other').state).toBe('Created');
  });

  it('takes the VM that is named, also for a Docker container', async () => {
    const { id } = await vms.run({});
    obeySignals(engine.vms.vms[0]!);
    await engine.create({}, 'alone');
    expect(await pods.start('alone', { vmId: id })).toMatchObject({ vmId: id });
    expect(pods.inspect('alone')).toMatchObject({ kind: 'container', state: 'Running', vmId: id });
  });

  it('does not put on a VM what joins another container', async () => {
    const donor = await engine.running({}, 'donor');
    await engine.create({ HostConfig: { NetworkMode: `container:${donor}` } }, 'guest');
    const { id } = await vms.run({});
    await expect(pods.start('guest', { vmId: id })).rejects.toThrow(
      "Pod guest can't be put on a VM: it shares namespaces of container donor, and runs where that does",
    );
  });

  it('is given up by a stop', async () => {
    await pods.create(template('web', [init, 'a']));
    const start = pods.start('web');
    const failed = expect(start).rejects.toThrow();
    await comesTo('web', 'Running');
    expect(pods.inspect('web').detail).toBe('Starting');
    await pods.stop('web');
    await failed;
    expect(pods.inspect('web').state).toBe('Created');
    expect(engine.vms.list()).toHaveLength(0);
  });
});

describe('stop', () => {
  it('ends the VM', async () => {
    await running('web', ['a', sidecar]);
    expect(await pods.stop('web')).not.toHaveProperty('keptVmId');
    expect(pods.inspect('web')).toMatchObject({ state: 'Created', detail: 'Failed' });
    expect(engine.vms.list()).toHaveLength(0);
    expect(engine.networks.endpoints.size).toBe(0);
  });

  it('keeps the VM for the one that asks for it', async () => {
    const vmId = await running('web', ['a', 'b']);
    expect(await pods.stop('web', { keepVm: true })).toMatchObject({ keptVmId: vmId });
    expect(vms.inspect(vmId)).toMatchObject({ state: 'Idle', purpose: 'kept' });
    expect(await pods.start('web', { vmId: vmId.slice(0, 3) })).toMatchObject({ vmId });
    expect(vms.inspect(vmId)).toMatchObject({ state: 'Associated', purpose: 'pod', podName: 'web' });
    await pods.stop('web');
    expect(engine.vms.list()).toHaveLength(0);
  });

  it('does not keep a VM that a Docker container has joined', async () => {
    await running('web');
    const guest = await engine.create({ HostConfig: { NetworkMode: `container:web-main` } }, 'guest');
    await engine.containers.start(guest, {});
    await expect(pods.stop('web', { keepVm: true })).rejects.toThrow(
      "the VM of Pod web can't be kept: guest run in it too",
    );
    expect(pods.inspect('web').state).toBe('Running');
  });

  it('refuses a Pod that does not run', async () => {
    await pods.create(template('web'));
    await expect(pods.stop('web')).rejects.toMatchObject({ code: 'NotModified' });
    await expect(pods.stop('nosuch')).rejects.toMatchObject({
      code: 'NotFound',
      message: 'No such Pod: nosuch',
    });
  });
});

describe('replace', () => {
  it('puts the new Pod on the VM of the old one', async () => {
    const vmId = await running('old');
    await pods.create(template('new', ['a', 'b']));
    expect(await pods.replace('old', { pod: 'new', keepAddress: true })).toMatchObject({ vmId });
    expect(engine.vms.vms).toHaveLength(1);
    expect(engine.networks.inherited).toEqual([[pods.inspect('old').id, pods.inspect('new').id]]);
    expect(pods.inspect('old').state).toBe('Created');
    await pods.stop('new');
    expect(engine.vms.list()).toHaveLength(0);
  });

  it('plugs what the new Pod needs ahead, and takes out what the old one had behind its start', async () => {
    await running('old');
    await pods.create(template('new'));
    const vm = engine.vms.last;
    const ops = (): string[] => vm.agent.requests.map(({ op }) => op);
    const disks = vm.pluggedDisks().size;
    let atSignal = 0;
    vm.agent.on('container.signal', ({ id, signal }) => {
      atSignal = vm.pluggedDisks().size;
      vm.agent.exit(id, { exitCode: 128 + signal });
      return {};
    });
    await pods.replace('old', { pod: 'new' });
    const { id, containers } = pods.inspect('old');
    await engine.parts.pods.settled(id);
    expect(atSignal).toBe(disks + 1);
    expect(vm.pluggedDisks().size).toBe(disks);
    expect(ops()).not.toContain('pod.teardown');
    expect(ops().slice(ops().indexOf('pod.replace'))).toEqual([
      ...['pod.replace', 'container.start', 'container.remove', 'tunnel.close'],
    ]);
    expect(vm.agent.params('container.remove')).toEqual({ id: containers[0]?.id, sync: true });
    expect(await pods.replace('new', { pod: 'old' })).toMatchObject({ vmId: vm.id });
  });

  it('lets nobody use a disk of the old Pod that is still in the VM', async () => {
    await running('old');
    await pods.create(template('new'));
    let letGo: (result: Record<string, never>) => void = () => undefined;
    engine.vms.last.agent.on('container.remove', () => new Promise((resolve) => (letGo = resolve)));
    await pods.replace('old', { pod: 'new' });
    expect(pods.inspect('old').state).toBe('Created');
    const started = pods.start('old');
    const first = await Promise.race([started, new Promise((resolve) => setImmediate(resolve, 'waits'))]);
    expect(first).toBe('waits');
    letGo({});
    expect((await started).vmId).not.toBe(pods.inspect('new').vmId);
  });

  it('ends the VM, and the new Pod, when what the old one wrote can not be brought to its disk', async () => {
    await running('old');
    await pods.create(template('new'));
    const vm = engine.vms.last;
    vm.agent.on('container.remove', () => Promise.reject(new Error('EIO')));
    await pods.replace('old', { pod: 'new' });
    await vm.ended;
    await comesTo('new', 'Created');
    expect(engine.vms.list()).toHaveLength(0);
  });

  it('resets a VM first that shares files with the old Pod', async () => {
    await running('old');
    await pods.create(template('new'));
    const vm = engine.vms.last;
    vm.sharesFiles = true;
    expect(await pods.replace('old', { pod: 'new' })).toMatchObject({ vmId: vm.id });
    expect(vm.agent.requests.map(({ op }) => op)).toContain('pod.teardown');
  });

  it('leaves neither VM nor Pod when the new one can not start', async () => {
    await running('old');
    engine.vms.last.agent.on('container.start', () => {
      throw new Error('no such command');
    });
    await expect(pods.replace('old', { template: template('new') })).rejects.toThrow(
      /Pod old is stopped, and Pod new could not be started on its VM: .*no such command/,
    );
    expect(engine.vms.list()).toHaveLength(0);
    expect(pods.list().map(({ name }) => name)).toEqual(['old']);
  });

  it('refuses what is not running, what is, and itself', async () => {
    await pods.create(template('old'));
    await pods.create(template('new'));
    await expect(pods.replace('old', { pod: 'new' })).rejects.toThrow('Pod old is not running');
    await pods.start('old');
    await expect(pods.replace('old', { pod: 'old' })).rejects.toThrow("Pod old can't replace itself");
    await expect(pods.replace('old', {})).rejects.toThrow('exactly one of pod and template must be given');
    await pods.start('new');
    await expect(pods.replace('old', { pod: 'new' })).rejects.toThrow('Pod new is running already');
    expect(pods.inspect('old').state).toBe('Running');
  });
});

describe('remove', () => {
  it('refuses a Pod that runs, unless it is forced', async () => {
    await running('web', ['a', 'b']);
    await expect(pods.remove('web')).rejects.toThrow(
      'Pod web is running: stop it before it can be removed, or force the removal',
    );
    await pods.remove('web', { force: true });
    expect(pods.list()).toHaveLength(0);
    expect(engine.registry.list()).toHaveLength(0);
    expect(engine.disks.disks.size).toBe(0);
    expect(engine.vms.list()).toHaveLength(0);
  });
});

describe('what its containers do', () => {
  it('ends with its last main container, sidecars and all', async () => {
    await running('web', ['a', 'b', sidecar]);
    const wait = pods.wait('web');
    const { agent } = engine.vms.last;
    agent.exit(engine.registry.get('web-a').id, { exitCode: 0 });
    agent.exit(engine.registry.get('web-b').id, { exitCode: 5 });
    expect(await wait).toMatchObject({ exitCode: 5 });
    await comesTo('web', 'Created');
    expect(pods.inspect('web').detail).toBe('Failed');
    expect(engine.vms.list()).toHaveLength(0);
  });

  it('stays on its VM while a container is restarted by its policy', async () => {
    await running('web', ['a'], { restartPolicy: { name: 'always' } });
    engine.vms.last.agent.exit(engine.registry.get('web-a').id, { exitCode: 1 });
    while (engine.registry.get('web-a').record.restartCount === 0) await new Promise(setImmediate);
    expect(engine.vms.vms).toHaveLength(1);
    await pods.stop('web');
  });

  it('stays on its VM, sidecars and all, while a Docker client restarts its only main container', async () => {
    await running('web', ['a', sidecar]);
    await engine.containers.restart('web-a', {});
    expect(engine.vms.vms).toHaveLength(1);
    expect(status('web')).toEqual({ a: 'running', side: 'running' });
  });

  it('goes with its end where that was asked for, or with its last container', async () => {
    await running('once', ['a'], { autoRemove: true });
    engine.vms.last.agent.exit(engine.registry.get('once-a').id);
    while (pods.list().length > 0) await new Promise(setImmediate);
    expect(engine.registry.list()).toHaveLength(0);
    await pods.create(template('web'));
    await engine.containers.remove('web-main', { force: false, volumes: false, link: false });
    while (pods.list().length > 0) await new Promise(setImmediate);
  });

  it('is Running when a Docker client starts one of them', async () => {
    await pods.create(template('web', ['a', 'b']));
    await engine.containers.start('web-a', {});
    expect(pods.inspect('web').state).toBe('Running');
    await pods.stop('web');
    expect(engine.vms.list()).toHaveLength(0);
  });

  it('shows what Docker clients have made', async () => {
    await engine.create({}, 'alone');
    await engine.create({ Labels: { 'caisson.pod': 'shared' } }, 'one');
    await engine.create({ Labels: { 'caisson.pod': 'shared' } }, 'two');
    const shown = pods.list().map(({ name, kind, containers }) => [name, kind, containers.length]);
    expect(shown).toEqual(
      expect.arrayContaining([
        ['alone', 'container', 1],
        ['shared', 'label', 2],
      ]),
    );
    expect(() => pods.inspect('one')).toThrow(
      'No such Pod: one (the container of this name belongs to the Pod shared)',
    );
  });

  it('is paused as a whole', async () => {
    await running('web', ['a', 'b']);
    await pods.pause('web');
    expect(pods.inspect('web')).toMatchObject({ state: 'Running', detail: 'Paused' });
    await expect(pods.pause('web')).rejects.toMatchObject({ code: 'Conflict' });
    expect(status('web')).toEqual({ a: 'paused', b: 'paused' });
    await pods.unpause('web');
    expect(status('web')).toEqual({ a: 'running', b: 'running' });
  });

  it('is held by whoever starts its containers', async () => {
    await running('web');
    const release = pods.hold('web');
    engine.vms.last.agent.exit(engine.registry.get('web-main').id, { exitCode: 1 });
    while (status('web')['main'] !== 'exited') await new Promise(setImmediate);
    await engine.containers.start('web-main', {});
    expect(engine.vms.vms).toHaveLength(1);
    release();
    expect(pods.inspect('web').state).toBe('Running');
    await pods.stop('web');
    expect(() => pods.hold('web')).toThrow('Pod web is not running');
  });

  it('names one of several containers', async () => {
    await pods.create(template('web', ['a', 'b']));
    expect(() => pods.containerId('web', '')).toThrow('Pod web has several containers, name one of: a, b');
    expect(() => pods.containerId('web', 'c')).toThrow('Pod web has no container c');
    expect(pods.containerId('web', 'b')).toBe(engine.registry.get('web-b').id);
  });
});

describe('what only a Pod that runs can do', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['pause', () => pods.pause('web')],
    ['unpause', () => pods.unpause('web')],
    ['kill', () => pods.kill('web')],
    ['replace', () => pods.replace('web', { pod: 'other' })],
  ])('%s is refused for one that does not', async (_, work) => {
    await pods.create(template('web'));
    await pods.create(template('other'));
    await expect(work()).rejects.toMatchObject({ code: 'Conflict', message: 'Pod web is not running' });
    expect(pods.inspect('web').state).toBe('Created');
  });

  it.each<[string, (ref: string) => unknown]>([
    ['start', (ref) => pods.start(ref)],
    ['stop', (ref) => pods.stop(ref)],
    ['remove', (ref) => pods.remove(ref)],
    ['pause', (ref) => pods.pause(ref)],
    ['wait', (ref) => pods.wait(ref)],
    ['inspect', (ref) => pods.inspect(ref)],
  ])('%s knows no Pod that is not there', async (_, work) => {
    await expect(Promise.resolve().then(() => work('nosuch'))).rejects.toMatchObject({
      code: 'NotFound',
      message: 'No such Pod: nosuch',
    });
  });
});

describe('a Pod whose VM is lost', () => {
  it.each<[string, (vmId: string) => Promise<void> | void]>([
    ['by a crash', () => engine.vms.last.crash()],
    ['by a forced removal', (vmId) => vms.remove(vmId, { force: true })],
  ])('%s is Created, and can be started on another', async (_, lose) => {
    const vmId = await running('web', ['main', sidecar]);
    const ended = pods.wait('web');
    await lose(vmId);
    expect(await ended).toMatchObject({ exitCode: 137 });
    while (pods.inspect('web').state !== 'Created') await new Promise(setImmediate);
    expect(pods.inspect('web')).toMatchObject({ detail: 'Failed', containers: [{ exitCode: 137 }, {}] });
    expect((await pods.start('web')).vmId).not.toBe(vmId);
  });
});

describe('VMs', () => {
  it('of an earlier daemon are listed as recorded until they answer, and what is left of dead ones is not', async () => {
    const { id } = await vms.run({});
    const running = { pid: 7, resources: { memoryBytes: 2 ** 28, cpus: 2 }, used: true, held: false };
    engine.vms.unanswered = [
      { id: 'silent', state: { kind: 'Associated', podId: 'p' }, running },
      { id: 'dead', state: { kind: 'Idle' } },
    ];
    expect(vms.list().map((vm) => vm.id)).toEqual([id, 'silent']);
    expect(vms.list()[1]).toEqual({
      ...{ id: 'silent', state: 'Associated', podId: 'p', purpose: 'pod', used: true, unanswered: true },
      ...{ memoryBytes: 2 ** 28, cpus: 2, pid: 7 },
    });
    expect(vms.facts().vms).toEqual({ total: 2, idle: 1, kept: 1, associated: 1 });
    expect(() => vms.inspect('silent')).toThrow('has not answered this one yet');
  });

  it('stay until they are removed, and not while a Pod is on them', async () => {
    const vmId = await running('web');
    await expect(vms.remove(vmId)).rejects.toThrow(`VM ${vmId} is in use by Pod web`);
    const { id } = await vms.run({ memoryBytes: 0 });
    await vms.remove(id);
    expect(() => vms.inspect(id)).toThrow(`No such VM: ${id}`);
    await expect(vms.run({ cpus: -1 })).rejects.toMatchObject({ code: 'InvalidParameter' });
  });
});
