import { TestEngine } from '../../../support/fakes/engine-fakes';

let engine: TestEngine;
beforeEach(() => (engine = new TestEngine()));
afterEach(() => engine.dispose());

/** Runs it to its end, after which its VM goes on. */
async function runAndKeepVm(id: string): Promise<void> {
  const { beforeRest } = engine.parts;
  await engine.containers.start(id, {});
  beforeRest.set(id, () => Promise.resolve({ keepData: true, keepVm: true }));
  engine.vms.last.agent.exit(id, { exitCode: 0 });
  await engine.settled(id);
  beforeRest.delete(id);
}

describe('a VM that is kept for the next Pod', () => {
  it('is Idle, with its layers, and nothing of the container is left in it', async () => {
    const id = await engine.create();
    await runAndKeepVm(id);
    const vm = engine.vms.last;
    expect(vm).toMatchObject({ state: { kind: 'Idle' }, isEnded: false, held: false });
    expect(vm.agent.requests.at(-1)?.op).toBe('pod.teardown');
    expect([...vm.pluggedDisks().keys()]).toEqual(['l-sha256-aaa', 'l-sha256-bbb']);
    expect(engine.networks.attached).toEqual([]);
  });

  it('is taken by the Pod that is placed there, and by no other', async () => {
    await runAndKeepVm(await engine.create());
    const [first] = engine.vms.vms;
    await engine.running();
    expect(engine.vms.vms).toHaveLength(2);
    const next = await engine.create();
    engine.parts.pods.place(next, first?.id);
    await engine.containers.start(next, {});
    expect(engine.vms.vms).toHaveLength(2);
    expect(first?.state).toEqual({ kind: 'Associated', podId: next });
    expect([...(first?.pluggedDisks().keys() ?? [])].sort()).toEqual([
      'l-sha256-aaa',
      'l-sha256-bbb',
      `w-${next.slice(0, 12)}`,
    ]);
  });

  it('is ended when it can not be emptied', async () => {
    engine.vms.prepare = (vm) => vm.agent.on('pod.teardown', () => Promise.reject(new Error('no')));
    await runAndKeepVm(await engine.create());
    expect(engine.vms.last.isEnded).toBe(true);
  });
});

describe('a place whose VM is promised to another Pod', () => {
  it('goes on when the promise is taken back, without what was plugged ahead', async () => {
    const { pods } = engine.parts;
    const id = await engine.running();
    const next = await engine.create();
    const vm = engine.vms.last;
    const before = [...vm.pluggedDisks().keys()];
    const handOver = pods.handOver(id, [{ containerId: next, layerPaths: [], writablePath: '/disks/next' }]);
    await handOver?.isPossible();
    expect(vm.pluggedDisks().size).toBe(before.length + 1);
    await pods.endHandOver(id);
    expect([...vm.pluggedDisks().keys()]).toEqual(before);
    vm.agent.exit(id);
    await engine.settled(id);
    expect(vm.isEnded).toBe(true);
    expect(pods.list()).toEqual([]);
  });

  it('is not promised to a second one', async () => {
    const { pods } = engine.parts;
    const id = await engine.running();
    pods.handOver(id, []);
    expect(() => pods.handOver(id, [])).toThrow(`Pod ${id} on VM vm0 is HandingOver: no arrange`);
    await pods.endHandOver(id);
    expect(pods.of(engine.registry.get(id))?.vm).toBe(engine.vms.last);
  });

  it('is left, Idle, to whoever takes it or ends it', async () => {
    const { pods } = engine.parts;
    const id = await engine.running();
    const vm = engine.vms.last;
    const handOver = pods.handOver(id, []);
    vm.agent.exit(id);
    await handOver?.passed;
    expect(vm.state.kind).toBe('Idle');
    expect(pods.find(id)).toBeUndefined();
    await pods.ended(id);
    let free = false;
    const settled = pods.settled(id).then(() => (free = true));
    await new Promise(setImmediate);
    expect(free).toBe(false);
    await pods.discard(vm.id);
    await settled;
    expect(vm.agent.requests.at(-1)?.op).toBe('shutdown');
    expect(vm.isEnded).toBe(true);
  });
});
