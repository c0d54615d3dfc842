import { TestEngine } from '../../../support/engine-fakes';

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
