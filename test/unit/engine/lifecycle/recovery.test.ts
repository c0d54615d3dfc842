import { recoverContainers } from '../../../../src/engine/lifecycle/recovery';
import { FakeVm, TestEngine } from '../../../support/fakes/engine-fakes';

let before: TestEngine;
let after: TestEngine;
beforeEach(() => (before = new TestEngine()));
afterEach(() => {
  before.dispose();
  after.dispose();
});

/** The daemon is killed and started again; these VMs are found. */
async function restart(...vms: FakeVm[]): Promise<void> {
  after = new TestEngine(before);
  after.registry.load();
  await recoverContainers(after.parts, vms);
  await after.parts.background.settled();
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
  await recoverContainers(after.parts, []);
  expect(after.layers.owners()).toEqual([id, 'something else']);
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
