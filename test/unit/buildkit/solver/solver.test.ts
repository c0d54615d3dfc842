import fc from 'fast-check';

import { walk } from '../../../../src/builder/file-tree';
import { BuildError } from '../../../../src/buildkit/contract/errors';
import type { FailedOperation, Ref } from '../../../../src/buildkit/contract/solver';
import { digestOf } from '../../../../src/buildkit/llb/graph';
import { Definition, ExecOp } from '../../../../src/buildkit/messages/ops';
import {
  copy,
  definitionOf,
  FakeDaemon,
  FakeHost,
  FakeSession,
  type Graph,
  image,
  local,
  never,
  op,
  refOf,
  run,
  sessionsOf,
  type FakeCommand,
} from './fake-host';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
  host.addImage('base', { etc: null, 'etc/passwd': 'root:x:0:0::/root:/bin/sh\n' });
  host.command = (step) =>
    Promise.resolve({ changes: { '/': { [`made-by-${step.args.at(-1) ?? ''}`]: 'made' } } });
});
afterEach(() => host.remove());

const commands = (): string[] => host.steps.map(({ args }) => args.at(-1) ?? '');

describe('evaluation', () => {
  test('steps run on their inputs, in the VM of their parent', async () => {
    const daemon = new FakeDaemon(host);
    const files = await daemon.filesOf(run(run(image('base'), 'a'), 'b'));
    expect(files).toMatchObject({
      'etc/passwd': expect.any(String),
      'made-by-a': 'made',
      'made-by-b': 'made',
    });
    expect(host.steps.map(({ after }) => after)).toEqual(['', 'vm-1']);
    expect(host.endedBuilds).toEqual(['build-1']);
  });

  test('a VM is expected before what a step works on is made, where one is to run and can share it', async () => {
    const daemon = new FakeDaemon(host);
    let expectedBefore: string[] = [];
    host.command = () => {
      expectedBefore = [...host.expectedIn];
      return Promise.resolve({});
    };
    const steps = run(run(image('base'), 'a'), 'b');
    await daemon.layersOf(steps);
    expect(expectedBefore).toEqual(['build-1', 'build-1']);
    await daemon.layersOf(steps);
    const secretenv = [{ ID: 'any', name: 'ANY', optional: true }];
    await daemon.layersOf(run(image('base'), 'c', { exec: { secretenv } }));
    expect(host.expectedIn).toEqual(expectedBefore);
  });

  test('commands of another processor are refused', async () => {
    const platform = { OS: 'linux', Architecture: 'arm64' };
    const foreign = run(image('base'), 'a', { platform });
    await expect(new FakeDaemon(host).layersOf(foreign)).rejects.toThrow(
      'commands of linux/arm64 do not run here',
    );
    expect(commands()).toEqual([]);
  });

  test('nothing runs before it is asked for, and an unused vertex never', async () => {
    const daemon = new FakeDaemon(host);
    const { build } = daemon.open();
    await refOf(build, run(image('base'), 'a'));
    await build.close();
    expect(commands()).toEqual([]);
  });

  test('a vertex that two others use runs once', async () => {
    const first = run(image('base'), 'first');
    const merged = op({ kind: 'merge', value: { inputs: [{ input: 0 }, { input: 1 }] } }, [
      run(first, 'left'),
      run(first, 'right'),
    ]);
    await new FakeDaemon(host).layersOf(merged);
    expect(commands().sort()).toEqual(['first', 'left', 'right']);
  });

  test('branches run at once, up to the limit', async () => {
    let running = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    host.command = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (running === 2) waiting.splice(0).forEach((go) => go());
      });
      running -= 1;
      return {};
    };
    const daemon = new FakeDaemon(host, sessionsOf(), { parallelSteps: 2 });
    const branches = ['a', 'b', 'c', 'd'].map((name) => run(image('base'), name));
    const inputs = branches.map((_branch, input) => ({ input }));
    await daemon.layersOf(op({ kind: 'merge', value: { inputs } }, branches));
    expect(most).toBe(2);
  });

  test('what a failed step had and left can be looked into', async () => {
    host.command = () => Promise.resolve({ exitCode: 1, changes: { '/': { made: 'before it failed' } } });
    const { build } = new FakeDaemon(host).open();
    const failureOf = async (graph: Graph): Promise<FailedOperation> => {
      const ref = await build.solve(definitionOf(graph), {}, never);
      const error = await ref?.evaluate(never).catch((reason: unknown) => reason);
      const details = error instanceof BuildError ? error.details : [];
      const detail = details.find(({ kind }) => kind === 'failedOperation');
      if (detail?.kind !== 'failedOperation') throw new Error(`nothing of it is told: ${String(error)}`);
      return detail.failed;
    };
    const filesIn = async (ref: Ref | undefined): Promise<string[]> => {
      const root = await ref?.tree(never);
      return root === undefined ? [] : [...walk(root.root)].map(({ path }) => path);
    };

    const step = await failureOf(run(image('base'), 'false'));
    expect(await filesIn(step.inputs[0])).toEqual(['etc', 'etc/passwd']);
    expect(await filesIn(step.mounts[0])).toEqual(['etc', 'etc/passwd', 'made']);

    const mkfile = (path: string, input: number): object => ({
      ...{ input, secondaryInput: -1, output: -1 },
      action: { kind: 'mkfile', value: { path, mode: 0o644, data: Buffer.from('x'), timestamp: -1n } },
    });
    const actions = [mkfile('/there', -1), { ...mkfile('/no/such', 0), output: 0 }];
    const files = await failureOf(op({ kind: 'file', value: { actions } }, []));
    expect(files.at).toEqual({ kind: 'file', index: 1 });
    expect(await filesIn(files.mounts[1])).toEqual(['there']);
    await build.close();
  });

  test('of a frontend’s container nothing is kept, however it ends', async () => {
    host.command = () => Promise.resolve({ exitCode: 7, changes: { '/': { made: 'there' } } });
    const { build } = new FakeDaemon(host).open();
    const refs = [await build.solve(definitionOf(image('base')), {}, never)];
    const mounts = [
      { input: 0, dest: '/', output: -1 },
      { input: -1, dest: '/work', output: -1 },
    ];
    const wanted = ExecOp.decode(ExecOp.encode({ meta: { args: ['sh'], cwd: '/' }, mounts }));
    const container = { op: wanted, refs, platform: undefined, terminal: false, files: [] };
    expect(await build.runContainer(container, { write: () => undefined }, never)).toBe(7);
    const { root, mounts: mounted } = host.steps.at(-1) ?? {};
    expect([root, ...(mounted ?? [])]).toMatchObject([{ keepsChanges: false }, { keepsChanges: false }]);
    await build.close();
  });

  test('a failed step says which it was and where it stands', async () => {
    host.command = () => Promise.resolve({ exitCode: 3 });
    const { build, progress } = new FakeDaemon(host).open();
    const graph = run(image('base'), 'false');
    const ranges = [{ start: { line: 2 }, end: { line: 2 } }];
    const definition = definitionOf(graph, {
      Source: {
        infos: [{ filename: 'Dockerfile', data: Buffer.from('FROM base\nRUN false\n') }],
        locations: definitionOf(graph).def.map((bytes) => [
          digestOf(bytes),
          { locations: [{ sourceIndex: 0, ranges }] },
        ]),
      },
    });
    const ref = await build.solve(definition, {}, never);
    const error = await ref?.evaluate(never).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BuildError);
    expect(error).toMatchObject({
      message: 'process "/bin/sh -c false" did not complete successfully: exit code: 3',
      details: [
        { kind: 'vertex' },
        { kind: 'source', info: { filename: 'Dockerfile' } },
        { kind: 'failedOperation', failed: { op: { op: { kind: 'exec' } }, at: undefined } },
      ],
    });
    expect(progress.named('/bin/sh -c false')).toMatchObject({
      error: expect.stringContaining('exit code: 3'),
    });
    await build.close();
  });
});

describe('keys', () => {
  test('the same definition is the same result in the next build, and in the next daemon', async () => {
    const graph = run(run(image('base'), 'a'), 'b');
    const first = await new FakeDaemon(host).layersOf(graph);
    const daemon = new FakeDaemon(host);
    const { build, progress } = daemon.open();
    expect(await (await refOf(build, graph)).layers(never)).toEqual(first);
    await build.close();
    expect(commands()).toEqual(['a', 'b']);
    expect(host.pulled).toEqual(['base']);
    for (const name of ['/bin/sh -c a', '/bin/sh -c b'])
      expect(progress.named(name)).toMatchObject({ cached: true });
  });

  const cache = { input: -1, dest: '/cache', output: -1, mountType: 3 };
  test.each<[string, object, object]>([
    ['proxies', { meta: { proxy_env: { http_proxy: 'a' } } }, { meta: { proxy_env: { http_proxy: 'b' } } }],
    [
      'addresses of hosts',
      { meta: { extraHosts: [{ Host: 'h', IP: '1.1.1.1' }] } },
      { meta: { extraHosts: [{ Host: 'h', IP: '2.2.2.2' }] } },
    ],
    [
      'ids of caches',
      { mounts: [{ ...cache, cacheOpt: { ID: 'a', sharing: 0 } }] },
      { mounts: [{ ...cache, cacheOpt: { ID: 'b', sharing: 2 } }] },
    ],
  ])('%s do not count', async (_what, one, other) => {
    const daemon = new FakeDaemon(host);
    await daemon.layersOf(run(image('base'), 'a', one));
    await daemon.layersOf(run(image('base'), 'a', other));
    expect(commands()).toEqual(['a']);
  });

  test.each<[string, object]>([
    ['environment', { meta: { env: ['A=1'] } }],
    ['user', { meta: { user: 'daemon' } }],
    ['network', { exec: { network: 2 } }],
    ['a mount', { mounts: [{ input: -1, dest: '/t', output: -1, mountType: 4 }] }],
  ])('%s counts', async (_what, other) => {
    const daemon = new FakeDaemon(host);
    await daemon.layersOf(run(image('base'), 'a'));
    await daemon.layersOf(run(image('base'), 'a', other));
    expect(commands()).toEqual(['a', 'a']);
  });

  test('a file that a copy does not take changes nothing behind it', async () => {
    const graph = run(copy(image('base'), local('context'), '/wanted', '/w'), 'a');
    const build = async (files: Record<string, string>): Promise<string[]> => {
      const stats = Object.entries(files).map(([name, content]) => [name, { content }] as const);
      const session = new FakeSession('s', Object.fromEntries(stats));
      const daemon = new FakeDaemon(host, sessionsOf(session));
      await daemon.layersOf(graph, { sessionIds: ['s'] });
      return commands();
    };
    expect(await build({ wanted: 'x', other: 'a' })).toEqual(['a']);
    expect(await build({ wanted: 'x', other: 'changed' })).toEqual(['a']);
    expect(await build({ wanted: 'changed', other: 'changed' })).toEqual(['a', 'a']);
  });

  test('what must be made anew is, with what follows of it, and the next build has that', async () => {
    const daemon = new FakeDaemon(host);
    let count = 0;
    host.command = () => Promise.resolve({ changes: { '/': { [`n${(count += 1)}`]: '' } } });
    await daemon.layersOf(run(run(image('base'), 'a'), 'b'));
    const anew = await daemon.layersOf(
      run(run(image('base'), 'a', { metadata: { ignore_cache: true } }), 'b'),
    );
    expect(commands()).toEqual(['a', 'b', 'a', 'b']);
    expect(await daemon.layersOf(run(run(image('base'), 'a'), 'b'))).toEqual(anew);
    expect(commands()).toHaveLength(4);
  });

  test('a result whose layers are gone is made again', async () => {
    const daemon = new FakeDaemon(host);
    const layers = await daemon.layersOf(run(image('base'), 'a'));
    host.tars.delete(layers.at(-1) ?? '');
    await daemon.layersOf(run(image('base'), 'a'));
    expect(commands()).toEqual(['a', 'a']);
  });
});

describe('secrets', () => {
  const value = 'never-to-be-seen';
  const secretMount = {
    input: -1,
    dest: '/run/secrets/s',
    output: -1,
    mountType: 1,
    secretOpt: { ID: 's', mode: 0o400 },
  };

  test('reach the executor and nothing else', async () => {
    const session = new FakeSession('c');
    session.secrets.set('s', value);
    const daemon = new FakeDaemon(host, sessionsOf(session));
    const { build, progress } = daemon.open({ sessionIds: ['c'] });
    const exec = { secretenv: [{ ID: 's', name: 'S' }] };
    await (await refOf(build, run(image('base'), 'a', { mounts: [secretMount], exec }))).evaluate(never);
    await build.close();
    expect(host.steps[0]).toMatchObject({
      alone: true,
      secretEnv: [`S=${value}`],
      mounts: [{ kind: 'secret', content: Buffer.from(value), mode: 0o400 }],
    });
    const kept = JSON.stringify([[...host.collections].map(([, documents]) => [...documents])]);
    expect(kept + JSON.stringify([...progress.vertexes])).not.toContain(value);
    expect(kept).toContain('/bin/sh -c a');
    session.secrets.set('s', 'another');
    await daemon.layersOf(run(image('base'), 'a', { mounts: [secretMount], exec }), { sessionIds: ['c'] });
    expect(commands()).toEqual(['a']);
  });

  test('that are missing are said, unless they may be', async () => {
    const daemon = new FakeDaemon(host, sessionsOf(new FakeSession('c')));
    const graph = run(image('base'), 'a', { mounts: [secretMount] });
    await expect(daemon.layersOf(graph, { sessionIds: ['c'] })).rejects.toThrow('secret s: not found');
    const optional = { ...secretMount, secretOpt: { ID: 's', optional: true } };
    await daemon.layersOf(run(image('base'), 'b', { mounts: [optional] }), { sessionIds: ['c'] });
    expect(host.steps[0]).toMatchObject({ mounts: [], alone: false });
  });
});

describe('secrets of builds with one step', () => {
  const optional = {
    ...{ input: -1, dest: '/run/secrets/s', output: -1, mountType: 1 },
    secretOpt: { ID: 's', mode: 0o400, optional: true },
  };

  test('are taken from the one that has them, whichever comes first, and not when its build is over', async () => {
    const giver = new FakeSession('giver');
    giver.secrets.set('s', 'given');
    const daemon = new FakeDaemon(host, sessionsOf(new FakeSession('other'), giver));
    const graph = run(image('base'), 'a', { mounts: [optional] });
    const [other, given] = [daemon.open({ sessionIds: ['other'] }), daemon.open({ sessionIds: ['giver'] })];
    await refOf(given.build, graph);
    await (await refOf(other.build, graph)).evaluate(never);
    expect(host.steps[0]).toMatchObject({ mounts: [{ kind: 'secret', content: Buffer.from('given') }] });
    await given.build.close();
    await (await refOf(other.build, run(image('base'), 'b', { mounts: [optional] }))).evaluate(never);
    expect(host.steps[1]).toMatchObject({ mounts: [] });
  });
});

describe('builds at once', () => {
  /** Commands that end when the test says so. */
  function gated(): { started: Promise<void>; end: () => void; signals: AbortSignal[] } {
    let begin = (): void => undefined;
    let end = (): void => undefined;
    const started = new Promise<void>((resolve) => (begin = resolve));
    const ended = new Promise<void>((resolve) => (end = resolve));
    const signals: AbortSignal[] = [];
    const command: FakeCommand = async (step, output, signal) => {
      signals.push(signal);
      void output.write('stdout', Buffer.from(`said by ${step.buildId}\n`));
      begin();
      await new Promise<void>((resolve, reject) => {
        void ended.then(resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
      return { changes: { '/': { made: step.buildId } } };
    };
    host.command = command;
    return { started, end, signals };
  }

  test('share a step, and both see what it says', async () => {
    const gate = gated();
    const daemon = new FakeDaemon(host);
    const [one, two] = [daemon.open(), daemon.open()];
    const graph = run(image('base'), 'a');
    const first = (await refOf(one.build, graph)).layers(never);
    await gate.started;
    const second = (await refOf(two.build, graph)).layers(never);
    await new Promise((resolve) => setImmediate(resolve));
    gate.end();
    expect(await second).toEqual(await first);
    expect(host.steps).toHaveLength(1);
    await Promise.all([one.build.close(), two.build.close()]);
    expect(one.progress.logs).toBe('said by build-1\n');
  });

  test('one that goes away leaves the step to the other', async () => {
    const gate = gated();
    const daemon = new FakeDaemon(host);
    const [one, two] = [daemon.open(), daemon.open()];
    const graph = run(image('base'), 'a');
    const first = (await refOf(one.build, graph)).layers(never).catch((error: unknown) => error);
    await gate.started;
    const second = (await refOf(two.build, graph)).layers(never);
    while (two.progress.logs === '') await new Promise((resolve) => setImmediate(resolve));
    one.abort.abort(new BuildError('Cancelled', 'context canceled'));
    await one.build.close();
    expect(await first).toMatchObject({ message: expect.stringContaining('canceled') });
    expect(gate.signals.map(({ aborted }) => aborted)).toEqual([false]);
    expect(host.endedBuilds).toEqual([]);
    gate.end();
    expect(await second).toHaveLength(2);
    await two.build.close();
    expect(host.endedBuilds.sort()).toEqual(['build-1', 'build-2']);
  });

  test('the last that goes away ends it, and nothing stays held', async () => {
    const gate = gated();
    const daemon = new FakeDaemon(host);
    const { build, progress } = daemon.open();
    const graph = run(image('base'), 'a');
    const layers = (await refOf(build, graph)).layers(never).catch((error: unknown) => error);
    await gate.started;
    await build.close();
    expect(await layers).toMatchObject({ code: 'Cancelled' });
    expect(gate.signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(progress.named('/bin/sh -c a')).toMatchObject({ error: 'context canceled' });
    expect(host.held).toEqual([]);
    expect(await daemon.solver.records.list(never)).toEqual([]);
    expect(host.endedBuilds).toEqual(['build-1']);
  });

  test('one build may hold a cache at a time', async () => {
    let running = 0;
    let most = 0;
    host.command = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return {};
    };
    const mounts = [{ input: -1, dest: '/c', output: -1, mountType: 3, cacheOpt: { ID: 'c' } }];
    const daemon = new FakeDaemon(host, sessionsOf(), { parallelSteps: 4 });
    await Promise.all(['a', 'b', 'c'].map((name) => daemon.layersOf(run(image('base'), name, { mounts }))));
    expect(most).toBe(1);
    expect(new Set(host.disksMade).size).toBe(1);
    const records = await daemon.solver.records.list(never);
    expect(records.filter(({ type }) => type === 'exec.cachemount')).toMatchObject([
      { usageCount: 3, inUse: false, mutable: true },
    ]);
  });

  test('steps of one build share a cache, once it is filled, unless one locks it or is alone', async () => {
    let running = 0;
    let most = 0;
    const isNew: boolean[] = [];
    host.command = async ({ mounts }, output) => {
      running += 1;
      most = Math.max(most, running);
      isNew.push(mounts.some((mount) => mount.kind === 'cache' && mount.fill !== undefined));
      output.running?.(undefined as never); // nobody speaks with it
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return {};
    };
    const daemon = new FakeDaemon(host, sessionsOf(), { parallelSteps: 4 });
    const together = async (id: string, sharing: number, exec = {}): Promise<number> => {
      most = 0;
      const cache = { input: 0, dest: '/c', output: -1, mountType: 3, cacheOpt: { ID: id, sharing } };
      const steps = ['a', 'b', 'c'].map((name) =>
        run(image('base'), `${id} ${name}`, { mounts: [cache], exec }),
      );
      const dests = steps.map((_, index) => ({ input: index + 1, dest: `/m${index}`, output: -1 }));
      await daemon.layersOf(run(image('base'), id, { inputs: steps, mounts: dests }));
      return most;
    };
    expect(await together('shared', 0)).toBe(3);
    expect(isNew).toEqual([true, false, false, false]);
    expect(await together('locked', 2)).toBe(1);
    expect(await together('alone', 0, { secretenv: [{ ID: 'x', name: 'X', optional: true }] })).toBe(1);
    expect(new Set(host.disksMade).size).toBe(3);
    const records = await daemon.solver.records.list(never);
    expect(records.filter(({ inUse }) => inUse)).toEqual([]);
  });

  test('a cache whose step has given up before it was filled is filled by the next one', async () => {
    let commands = 0;
    host.command = () => {
      commands += 1;
      return commands === 1 ? Promise.reject(new Error('no VM')) : Promise.resolve({});
    };
    const daemon = new FakeDaemon(host, sessionsOf(), { parallelSteps: 4 });
    const cache = { input: 0, dest: '/c', output: -1, mountType: 3, cacheOpt: { ID: 'c' } };
    const steps = ['a', 'b'].map((name) => run(image('base'), name, { mounts: [cache] }));
    const outcomes = await Promise.allSettled(steps.map((step) => daemon.layersOf(step)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(host.disksMade).toHaveLength(1);
  });

  test('a step that must be made anew begins with empty caches, others keep theirs', async () => {
    const mountOf = (ID: string): object => ({
      input: -1,
      dest: `/${ID}`,
      output: -1,
      mountType: 3,
      cacheOpt: { ID },
    });
    const mounts = [mountOf('a'), mountOf('b')] as never;
    const daemon = new FakeDaemon(host, sessionsOf());
    await daemon.layersOf(run(image('base'), 'first', { mounts }));
    expect(host.disksMade).toHaveLength(2);
    const fresh = { mounts: [mountOf('a')] as never, metadata: { ignore_cache: true } };
    await daemon.layersOf(run(image('base'), 'second', fresh));
    expect(host.disksMade).toHaveLength(3);
    await daemon.layersOf(run(image('base'), 'third', { mounts }));
    expect(host.disksMade).toHaveLength(3);
    const records = await daemon.solver.records.list(never);
    expect(records.filter(({ type }) => type === 'exec.cachemount')).toHaveLength(2);
  });
});

describe('what may not run', () => {
  test.each<[string, ReturnType<typeof run>, string]>([
    ['host network', run(image('base'), 'a', { exec: { network: 1 } }), 'network.host is not allowed'],
    ['privileges', run(image('base'), 'a', { exec: { security: 1 } }), 'security.insecure is not allowed'],
    ['a source of no kind', op({ kind: 'source', value: { identifier: 'nothing' } }), 'not supported'],
    ['a nested build', op({ kind: 'build', value: {} }), 'not supported'],
    ['no arguments', op({ kind: 'exec', value: { mounts: [{ dest: '/' }] } }), 'without arguments'],
    [
      'a wrong mount input',
      run(undefined, 'a', { mounts: [{ input: 9, dest: '/x', output: -1 }] }),
      'mount input 9',
    ],
    ['an empty file operation', op({ kind: 'file', value: {} }), 'of 0 actions'],
    [
      'a merge of what is not there',
      op({ kind: 'merge', value: { inputs: [{ input: 3 }] } }),
      'input index 3',
    ],
  ])('%s', async (_what, graph, message) => {
    const { build } = new FakeDaemon(host).open();
    await expect(refOf(build, graph)).rejects.toThrow(message);
    await build.close();
  });

  test('no bytes that a client may send do more than fail', async () => {
    const daemon = new FakeDaemon(host);
    const valid = definitionOf(copy(run(image('base'), 'a'), image('base'), '/etc', '/x'));
    const bytes = Definition.encode(valid);
    const changed = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(changed, async (changes) => {
        const hostile = Buffer.from(bytes);
        for (const [at, byte] of changes) hostile[at] = byte;
        let definition: Definition;
        try {
          definition = Definition.decode(hostile);
        } catch {
          return;
        }
        const { build } = daemon.open();
        const outcome = await build
          .solve(definition, {}, never)
          .then((ref) => ref?.evaluate(never))
          .catch((error: unknown) => error);
        await build.close();
        if (outcome !== undefined) expect(outcome).toBeInstanceOf(Error);
        if (outcome instanceof Error)
          expect(['BuildError', 'DaemonError', 'RangeError']).toContain(outcome.name);
      }),
      { numRuns: 150 },
    );
    expect(host.held).toEqual([]);
  });

  test('a graph of twenty thousand levels ends', async () => {
    let graph = image('base');
    const def = [graph.bytes];
    for (let i = 0; i < 20_000; i += 1) {
      graph = op({ kind: 'merge', value: { inputs: [{ input: 0 }] } }, [{ ...graph, inputs: [] }]);
      def.push(graph.bytes);
    }
    const last = definitionOf({ ...graph, inputs: [] }).def.at(-1) ?? Buffer.alloc(0);
    const { build } = new FakeDaemon(host).open();
    const ref = await build.solve(Definition.decode(Definition.encode({ def: [...def, last] })), {}, never);
    await expect(ref?.layers(never)).resolves.toHaveLength(1);
    await build.close();
  });
});

describe('prune', () => {
  const all = {
    matches: () => true,
    all: true,
    keepDurationMs: 0,
    reservedBytes: 0,
    maxUsedBytes: 0,
    minFreeBytes: 0,
  };
  const pruned = async (daemon: FakeDaemon, options: object = {}): Promise<string[]> => {
    const names: string[] = [];
    for await (const { description } of daemon.solver.records.prune({ ...all, ...options }, never))
      names.push(description);
    return names;
  };

  test('takes everything that no build uses, and its layers', async () => {
    const daemon = new FakeDaemon(host);
    const layers = await daemon.layersOf(run(run(image('base'), 'a'), 'b'));
    const { build } = daemon.open();
    await (await refOf(build, run(image('base'), 'a'))).evaluate(never);
    expect(await pruned(daemon)).toEqual(['/bin/sh -c b']);
    expect(layers.map((diffId) => host.tars.has(diffId))).toEqual([true, true, false]);
    await build.close();
    expect(await pruned(daemon)).toEqual(['/bin/sh -c a']);
    expect(layers.map((diffId) => host.tars.has(diffId))).toEqual([true, false, false]);
    expect(host.references.size).toBe(0);
  });

  test('keeps what is young, what is not meant, and what fits', async () => {
    const daemon = new FakeDaemon(host);
    await daemon.layersOf(run(run(image('base'), 'a'), 'b'));
    expect(await pruned(daemon, { keepDurationMs: 3_600_000 })).toEqual([]);
    expect(await pruned(daemon, { matches: () => false })).toEqual([]);
    expect(await pruned(daemon, { maxUsedBytes: 1 << 30 })).toEqual([]);
    expect(await pruned(daemon, { reservedBytes: 1 << 30 })).toEqual([]);
    const [largest = 0] = (await daemon.solver.records.list(never)).map(({ sizeBytes }) => sizeBytes).sort();
    expect(await pruned(daemon, { maxUsedBytes: largest })).toHaveLength(1);
  });

  test('records know their parents', async () => {
    const daemon = new FakeDaemon(host);
    await daemon.layersOf(run(run(image('base'), 'a'), 'b'));
    const records = await daemon.solver.records.list(never);
    const [a, b] = ['a', 'b'].map((name) => records.find(({ description }) => description.endsWith(name)));
    expect(b?.parents).toEqual([a?.id]);
    expect(b).toMatchObject({ type: 'regular', inUse: false, usageCount: 1, shared: false });
    expect(b?.sizeBytes).toBeGreaterThan(0);
  });

  test('layers of records that are gone belong to nobody in the next daemon', async () => {
    await new FakeDaemon(host).layersOf(run(image('base'), 'a'));
    host.collections.clear();
    new FakeDaemon(host);
    expect(host.references.size).toBe(0);
  });
});
