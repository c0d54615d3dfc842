import { createContainer } from '../../../../src/engine/create/create';
import { recoverContainers } from '../../../../src/engine/lifecycle/recovery';
import { FakeVm, FoundFakeVm, TestEngine } from '../../../support/fakes/engine-fakes';

let before: TestEngine;
let after: TestEngine;
beforeEach(() => (before = new TestEngine()));
afterEach(() => {
  before.dispose();
  after.dispose();
});

/** The daemon is killed and started again; these VMs are found. */
async function restart(...vms: FakeVm[]): Promise<void> {
  const { over } = await begin(...vms.map((vm) => new FoundFakeVm(vm)));
  await over;
  await after.parts.background.settled();
}

/** As `restart`, of VMs that may not answer yet. Resolves when the next daemon would serve clients. */
async function begin(...vms: FoundFakeVm[]): Promise<{ over: Promise<void> }> {
  after = new TestEngine(before);
  after.registry.load();
  return recoverContainers(after.parts, { vms, straysEnded: Promise.resolve() });
}

/** The VM as the next daemon finds it: with a new connection to the same agent. */
function found(vm: FakeVm, id: string, channels: number[] = [1, 2]): FakeVm {
  const again = new FakeVm(vm.id);
  again.state = vm.state;
  again.agent.hello = {
    ...again.agent.hello,
    containers: [{ id, pid: 4711, state: 'running' }],
    channels: channels.map((channel) => ({ channel, outAcked: 0, outEnd: 0, inReceived: 0 })),
  };
  return again;
}

it('adopts what runs: state, pid and streams', async () => {
  const id = await before.running();
  const vm = found(before.vms.last, id);
  await restart(vm);
  expect(after.registry.get(id).state).toMatchObject({ kind: 'running', pid: 4711 });
  vm.agent.outputs.get(1)?.write('later\n');
  const { exit } = await after.containers.wait(id, 'not-running', new AbortController().signal);
  vm.agent.exit(id, { exitCode: 4 });
  await expect(exit).resolves.toMatchObject({ StatusCode: 4 });
  expect(after.actions()).toEqual(['die', 'disconnect']);
});

it('goes on in the log where the last daemon stopped', async () => {
  const id = await before.running();
  const first = before.vms.last.agent.outputs.get(1);
  first?.write('one\n');
  while (first?.acked !== 4) await new Promise((resolve) => setImmediate(resolve));
  const vm = found(before.vms.last, id);
  await restart(vm);
  expect(vm.agent.outputs.get(1)?.fromOffset).toBe(4);
});

it('takes an exit that happened while no daemon was there', async () => {
  const id = await before.running();
  const vm = found(before.vms.last, id, []);
  vm.agent.exit(id, { exitCode: 6 });
  await restart(vm);
  await after.settled(id);
  expect(after.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 6 });
  expect(vm.agent.acked).toEqual([1]);
  expect(vm.isEnded).toBe(true);
});

it('records as lost what has no VM any more', async () => {
  const id = await before.running();
  await restart();
  expect(after.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 255 });
});

it('removes an AutoRemove container that is lost', async () => {
  const id = await before.running({ HostConfig: { AutoRemove: true } });
  await restart();
  expect(after.state(id)).toBe('gone');
  expect(after.disks.disks.size).toBe(0);
});

it('ends the step of a build, and removes it', async () => {
  const id = await before.running();
  before.registry.update(before.registry.get(id), { isBuildStep: true });
  const vm = found(before.vms.last, id);
  await restart(vm);
  expect(after.state(id)).toBe('gone');
  expect(vm.isEnded).toBe(true);
  expect(after.disks.disks.size).toBe(0);
});

it('removes the step of a build that was made and never ran', async () => {
  const { Id: id } = await createContainer(
    before.parts,
    { Image: 'busybox', Cmd: ['true'] },
    { version: { major: 1, minor: 41 }, isBuildStep: true },
  );
  await restart();
  expect(after.state(id)).toBe('gone');
  expect(after.disks.disks.size).toBe(0);
});

it('counts restarts anew, and forgets who had stopped it', async () => {
  const policy = { HostConfig: { RestartPolicy: { Name: 'always' } } } as const;
  const running = await before.running(policy);
  before.registry.update(before.registry.get(running), { restartCount: 3 });
  const stopped = await before.running(policy);
  before.registry.update(before.registry.get(stopped), { manuallyStopped: true });
  await restart();
  for (const id of [running, stopped]) {
    expect(after.state(id)).toBe('running');
    expect(after.registry.get(id).record).toMatchObject({ restartCount: 0, manuallyStopped: false });
  }
});

it('ends the pause of a restart, or gives it up if the policy was taken away', async () => {
  const ids: string[] = [];
  for (const Name of ['always', 'always'] as const) {
    const id = await before.running({ HostConfig: { RestartPolicy: { Name } } });
    before.vms.last.agent.exit(id, { exitCode: 1 });
    await before.settled(id);
    expect(before.state(id)).toBe('restarting');
    ids.push(id);
  }
  before.parts.restarts.cancelAll();
  const [first = '', second = ''] = ids;
  const { record } = before.registry.get(second);
  before.registry.update(before.registry.get(second), {
    hostConfig: { ...record.hostConfig, RestartPolicy: { Name: 'no' } },
  });
  await restart();
  expect(after.state(first)).toBe('running');
  expect(after.state(second)).toBe('exited');
});

it('removes an AutoRemove container that was never started', async () => {
  const id = await before.create({ HostConfig: { AutoRemove: true } });
  await restart();
  expect(after.state(id)).toBe('gone');
});

it('starts what its policy wants to run', async () => {
  const always = await before.running({ HostConfig: { RestartPolicy: { Name: 'always' } } });
  const once = await before.running({ HostConfig: { RestartPolicy: { Name: 'no' } } });
  const created = await before.create({ HostConfig: { RestartPolicy: { Name: 'always' } } });
  await restart();
  after.parts.restarts.cancelAll();
  expect(['running', 'restarting']).toContain(after.state(always));
  expect(after.state(once)).toBe('exited');
  expect(after.state(created)).toBe('created');
});

it('ends VMs and removes disks that belong to nobody', async () => {
  const id = await before.create();
  before.disks.disks.add('f'.repeat(64));
  const orphan = new FakeVm('orphan');
  await orphan.associate('e'.repeat(64));
  const halfStarted = new FakeVm('half');
  await halfStarted.associate(id);
  await restart(orphan, halfStarted);
  expect(orphan.isEnded).toBe(true);
  expect(halfStarted.isEnded).toBe(true);
  expect([...after.disks.disks]).toEqual([id]);
  expect(after.state(id)).toBe('created');
});

it('lets the CPUs of a paused one turn, which an earlier daemon may have stopped', async () => {
  const id = await before.running();
  await before.containers.pause(id);
  const vm = found(before.vms.last, id);
  await restart(vm);
  expect(after.state(id)).toBe('paused');
  expect(vm.calls).toEqual(['resume']);
});

it('releases layers of a create that was cut short before its disk, and no one else’s', async () => {
  const id = await before.create();
  const lost = 'c'.repeat(64);
  after = new TestEngine(before);
  for (const owner of [id, lost, 'something else']) after.layers.reference(owner, ['sha256:aaa']);
  after.registry.load();
  await (
    await recoverContainers(after.parts, { vms: [], straysEnded: Promise.resolve() })
  ).over;
  expect(after.layers.owners()).toEqual([id, 'something else']);
});

describe('while a VM has not answered', () => {
  const never = new AbortController().signal;

  it('records are as last known, and what is asked of the container waits for that VM alone', async () => {
    const [slow, quick] = [await before.running(), await before.running()];
    const [slowVm, quickVm] = before.vms.vms.map((vm, index) => found(vm, [slow, quick][index] ?? ''));
    if (slowVm === undefined || quickVm === undefined) throw new Error('no VMs');
    const late = new FoundFakeVm(slowVm, { answers: false });
    const { over } = await begin(late, new FoundFakeVm(quickVm));
    expect((await after.containers.inspect(slow, { size: false })).State.Running).toBe(true);
    expect(
      await after.containers.list({ all: false, limit: 0, size: false, filters: new Map() }),
    ).toHaveLength(2);
    await after.containers.pause(quick);
    let paused = false;
    const pausing = after.containers.pause(slow).then(() => (paused = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(paused).toBe(false);
    late.answer();
    await pausing;
    await over;
    expect([after.state(slow), after.state(quick)]).toEqual(['paused', 'paused']);
  });

  it('an exit meanwhile is told once, to who waits for it', async () => {
    const id = await before.running();
    const vm = found(before.vms.last, id, []);
    vm.agent.exit(id, { exitCode: 6, timeMs: Date.now() - 60_000 });
    const late = new FoundFakeVm(vm, { answers: false });
    const { over } = await begin(late);
    const { exit } = await after.containers.wait(id, 'not-running', never);
    expect(after.actions()).toEqual([]);
    late.answer();
    expect(await exit).toMatchObject({ StatusCode: 6 });
    await over;
    expect(after.actions().filter((action) => action === 'die')).toHaveLength(1);
  });

  it('one that turns out to be gone is told to who waits, and to who is attached', async () => {
    const id = await before.running();
    const late = new FoundFakeVm(before.vms.last, { answers: false });
    const { over } = await begin(late);
    const { exit } = await after.containers.wait(id, 'not-running', never);
    const subscription = after.parts.hubs.of(id).subscribe({ stdout: true, stderr: true });
    const stopping = after.containers.stop(id, {});
    late.giveUp();
    expect(await exit).toMatchObject({ StatusCode: 255 });
    await stopping;
    await over;
    expect(subscription.isClosed).toBe(true);
    expect(after.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 255 });
  });

  it('whose process is stopped, a request ends with an error, and kill and rm -f work', async () => {
    const [killed, removed] = [
      await before.running(),
      await before.running({ HostConfig: { RestartPolicy: { Name: 'always' } } }),
    ];
    const stopped = before.vms.vms.map((vm) => new FoundFakeVm(vm, { answers: false }));
    for (const vm of stopped) vm.hindered = { reason: 'its process is stopped (SIGSTOP)', forMs: 60_000 };
    const { over } = await begin(...stopped);
    await expect(after.containers.pause(killed)).rejects.toThrow(/can't answer: its process is stopped/);
    await after.containers.kill(killed, {});
    expect(after.registry.get(killed).state).toMatchObject({ kind: 'exited', exitCode: 137 });
    await after.containers.kill(removed, {});
    await over;
    await after.parts.background.settled();
    expect(after.state(removed)).toBe('exited');
    await after.containers.remove(removed, { force: true, volumes: false, link: false });
    expect(after.state(removed)).toBe('gone');
    expect(stopped.map(({ isEnded }) => isEnded)).toEqual([true, true]);
  });

  it('what is created meanwhile is no leftover of before', async () => {
    const id = await before.running();
    const left = 'f'.repeat(64);
    before.disks.disks.add(left);
    const late = new FoundFakeVm(found(before.vms.last, id), { answers: false });
    const { over } = await begin(late);
    const created = await after.create();
    after.disks.disks.add('e'.repeat(64)); // of a create that has no record yet
    late.answer();
    await over;
    expect([...after.disks.disks].sort()).toEqual([id, created, 'e'.repeat(64)].sort());
  });

  it('a container that it holds by a start that was cut short is started when it has let go', async () => {
    const id = await before.create();
    const vm = new FakeVm('half');
    await vm.associate(id);
    const late = new FoundFakeVm(vm, { answers: false });
    await begin(late);
    const starting = after.containers.start(id, {});
    await new Promise((resolve) => setImmediate(resolve));
    expect(after.vms.vms).toHaveLength(0);
    late.answer();
    await starting;
    expect(vm.isEnded).toBe(true);
    expect(after.state(id)).toBe('running');
  });
});

it('takes a container that no record knows out of a VM in which others run, connections to sockets and all', async () => {
  const id = await before.running();
  const stray = 'd'.repeat(64);
  const vm = found(before.vms.last, id);
  vm.agent.hello.containers.push({ id: stray, pid: 9, state: 'running' });
  await vm.plugDisks([
    ...['l-sha256-aaa', 'l-sha256-bbb', `w-${id.slice(0, 12)}`, 'w-dddddddddddd'].map((disk) => ({
      id: disk,
      hostPath: '',
      format: 'raw' as const,
      readOnly: false,
      durable: false,
    })),
  ]);
  vm.agent.on('container.signal', () => {
    vm.agent.exit(stray);
    return {};
  });
  await restart(vm);
  const prefix = 'dddddddddddd-';
  expect(vm.agent.requests.slice(0, 3)).toEqual([
    { op: 'container.signal', params: { id: stray, signal: 9, all: true } },
    { op: 'container.remove', params: { id: stray, sync: true } },
    { op: 'tunnel.close', params: { prefix } },
  ]);
  expect(vm.calls).toContain(`unshareFiles ${prefix}`);
  expect([...vm.pluggedDisks().keys()].sort()).toEqual([
    ...['l-sha256-aaa', 'l-sha256-bbb', `w-${id.slice(0, 12)}`],
  ]);
});
