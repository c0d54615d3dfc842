import { TestEngine, type FakeVm } from '../../../support/fakes/engine-fakes';
import { BuildPods, type BuildPod, type Entered } from '../../../../src/engine/builds/build-pods';
import { StepJournal } from '../../../../src/engine/builds/step-journal';
import type { NetworkManager } from '../../../../src/network/network';
import type { PodSpec } from '../../../../src/translate/pod';

const spec: PodSpec = {
  ...{ id: '', hostname: 'h', domainname: '', sysctls: {}, sharePidNamespace: false, containers: [] },
};
const signal = new AbortController().signal;

let engine: TestEngine;
let pods: BuildPods;
let steps: number;
let given: string[];
beforeEach(() => {
  engine = new TestEngine();
  const networks = engine.networks as unknown as NetworkManager; // what is asked of it here
  pods = new BuildPods(engine.parts, new StepJournal(engine.documents, networks));
  steps = 0;
  given = [];
});
afterEach(() => engine.dispose());

interface Wish {
  after?: string;
  alone?: boolean;
  network?: 'none';
  layers?: string[];
  caches?: string[];
  more?: Partial<PodSpec>;
}

async function enter(
  buildId: string,
  { after = '', alone = false, network, layers = ['/layers/base'], caches = [], more = {} }: Wish = {},
): Promise<Entered & { id: string; vm: FakeVm }> {
  steps += 1;
  const id = `step-${steps}`.padEnd(64, '0');
  const trees = caches.map((ownPath) => ({ layerPaths: [], ownPath }));
  const disks = { containerId: id, layerPaths: layers, trees };
  const wish = { buildId, after, alone, network: network ?? ('sandbox' as const) };
  const entered = await pods.enter(wish, { ...spec, ...more }, disks, signal);
  const vm = engine.vms.vms.find((each) => each === entered.place.pod.vm);
  if (vm === undefined) throw new Error('no VM was acquired');
  return { ...entered, id, vm };
}

function leave({ place, id }: { place: BuildPod; id: string }, goesOn = true): Promise<void> {
  const giveBack = (): unknown => given.push(id);
  return pods.leave(place, id, { goesOn, giveBack });
}

const writable = ({ place }: { place: BuildPod }): string => `w-${place.pod.id.slice(0, 12)}`;
const journal = (): unknown[] => engine.documents.all('build-steps');
const addresses = (): string[] => [...engine.networks.endpoints.keys()];

test('steps that follow each other join one Pod, whose address is had once; each plugs what is its own', async () => {
  const first = await enter('one');
  expect(journal()).toHaveLength(1);
  await leave(first);
  expect(given).toEqual([first.id]);
  const second = await enter('one', { layers: ['/layers/base', '/layers/made'] });
  expect(second.place).toBe(first.place);
  expect(engine.vms.vms).toHaveLength(1);
  expect(addresses()).toHaveLength(1);
  expect(first.vm.agent.requests.map(({ op }) => op)).toEqual([
    ...['pod.setup', 'container.remove', 'tunnel.close'],
  ]);
  expect([...second.vm.pluggedDisks().keys()].sort()).toEqual([...['l-base', 'l-made', writable(first)]]);
  await leave(second);
  // layers that are none of the next one's go meanwhile
  const third = await enter('one', { layers: ['/layers/made'] });
  await new Promise(setImmediate);
  expect([...third.vm.pluggedDisks().keys()].sort()).toEqual(['l-made', writable(first)]);
  await leave(third);
  await pods.end('one');
  expect(first.vm.isEnded).toBe(true);
  expect(first.vm.agent.requests.map(({ op }) => op)).not.toContain('shutdown');
  expect([journal(), addresses(), [...engine.disks.disks]]).toEqual([[], [], []]);
});

test('a Pod is its build’s alone, one step’s at a time; the wished VM if it is free and large enough', async () => {
  const a = await enter('one');
  const b = await enter('one');
  const other = await enter('two');
  expect(new Set([a.vm, b.vm, other.vm]).size).toBe(3);
  await leave(a);
  await leave(b);
  const again = await enter('one', { after: b.vm.id });
  expect(again.vm).toBe(b.vm);
  const large = await enter('one', { more: { memoryBytes: 2 ** 40 } });
  expect(large.vm).toBe(engine.vms.last);
  expect(engine.vms.vms).toHaveLength(4);
  await pods.endAll();
  expect(engine.vms.vms.map(({ isEnded }) => isEnded)).toEqual([true, false, false, false]);
  // those in which steps are end with them
  for (const step of [again, large, other]) await leave(step);
  expect(engine.vms.vms.map(({ isEnded }) => isEnded)).toEqual([true, true, true, true]);
  expect([journal(), addresses()]).toEqual([[], []]);
});

test('a Pod that is expected is there for the first step, and for one alone; with the build it ends', async () => {
  pods.expect('one', spec);
  pods.expect('one', spec);
  const [first, second] = await Promise.all([enter('one'), enter('one')]);
  pods.expect('one', spec);
  expect(engine.vms.vms).toHaveLength(2);
  expect([first.vm, second.vm]).toEqual(engine.vms.vms);
  await leave(first);
  await leave(second);
  await pods.end('one');
  pods.expect('two', spec);
  const alone = await enter('two', { alone: true });
  await leave(alone, false);
  await pods.end('two');
  pods.expect('three', spec);
  await pods.endAll();
  expect(engine.vms.vms.map(({ isEnded }) => isEnded)).toEqual([true, true, true, true, true]);
  expect([journal(), addresses(), [...engine.disks.disks]]).toEqual([[], [], []]);
});

test('a Pod that was expected and could not be made is made by the step, which says why it can’t be', async () => {
  engine.vms.failure = new Error('no room');
  pods.expect('one', spec);
  await expect(enter('one')).rejects.toThrow('no room');
  expect([journal(), addresses(), [...engine.disks.disks]]).toEqual([[], [], []]);
});

test('a Pod on whose disk much was left is not gone on with', async () => {
  engine.disks.usageBytes = () => Promise.resolve(2 ** 31);
  const first = await enter('one');
  await leave(first);
  expect(first.vm.isEnded).toBe(true);
  const second = await enter('one');
  expect(second.vm).not.toBe(first.vm);
  await leave(second);
  expect([journal(), [...engine.disks.disks]]).toEqual([[], []]);
});

test('who is alone has a Pod that ends with it, without an address if it wants none', async () => {
  const alone = await enter('one', { alone: true, network: 'none' });
  expect(addresses()).toEqual([]);
  const beside = await enter('one', { network: 'none' });
  expect(beside.vm).not.toBe(alone.vm);
  // a step that comes after it may want the network
  expect(addresses()).toHaveLength(1);
  await leave(alone, false);
  expect([alone.vm.isEnded, beside.vm.isEnded]).toEqual([true, false]);
  expect(given).toEqual([alone.id]);
  await leave(beside);
  await pods.end('one');
  expect(journal()).toEqual([]);
});

test('what can’t be taken out goes with its VM, and nobody enters one that is lost or was given up', async () => {
  const held = await enter('one');
  held.vm.agent.on('container.remove', () => Promise.reject(new Error('busy')));
  await leave(held);
  expect(held.vm.isEnded).toBe(true);
  const lost = await enter('one');
  await leave(lost);
  lost.vm.crash();
  await new Promise(setImmediate);
  const next = await enter('one');
  expect(next.vm).not.toBe(lost.vm);
  await leave(next, false);
  expect(next.vm.isEnded).toBe(true);
  expect((await enter('one')).vm).not.toBe(next.vm);
  expect(given).toEqual([held.id, lost.id, next.id]);
  expect(addresses()).toHaveLength(1);
});

test('steps that share the disk of a cache are in one Pod, also at once', async () => {
  const [first, second] = await Promise.all([
    enter('one', { caches: ['/caches/a'] }),
    enter('one', { caches: ['/caches/a', '/caches/b'] }),
  ]);
  expect(second.place).toBe(first.place);
  const plugged = (): string[] => [...first.vm.pluggedDisks().keys()].filter((id) => id.startsWith('o-'));
  expect(plugged()).toEqual(['o-a', 'o-b']);
  const other = await enter('one', { caches: ['/caches/c'] });
  expect(other.vm).not.toBe(first.vm);
  // who wants those of both waits until one of them is free
  let isIn = false;
  const both = enter('one', { caches: ['/caches/b', '/caches/c'] }).then((entered) => {
    isIn = true;
    return entered;
  });
  await leave(first);
  expect([plugged(), isIn]).toEqual([['o-a', 'o-b'], false]);
  await leave(second);
  const third = await both;
  expect(third.place).toBe(other.place);
  expect(plugged()).toEqual([]);
  // none joins one that was given up
  const leaving = [other, third].map((step) => leave(step, false));
  const next = await enter('one', { caches: ['/caches/c'] });
  await Promise.all(leaving);
  expect([other.vm.isEnded, next.vm.isEnded]).toEqual([true, false]);
});

test('of a Pod that could not be made nothing is left', async () => {
  engine.networks.attachFailure = new Error('no tap');
  await expect(enter('one')).resolves.toBeDefined(); // told to who waits for `ready`
  engine.networks.allocateFailure = new Error('no address');
  await expect(enter('two')).rejects.toThrow('no address');
  expect(engine.vms.last.isEnded).toBe(true);
  expect(journal()).toHaveLength(1);
  expect(engine.disks.disks.size).toBe(1);
});
