import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonError } from '../../../../src/errors';
import { AgentError } from '../../../../src/vm/contract/agent-error';
import { TestEngine } from '../../../support/fakes/engine-fakes';

let engine: TestEngine;
beforeEach(() => (engine = new TestEngine()));
afterEach(() => engine.dispose());

const never = new AbortController().signal;

describe('create', () => {
  it('leaves a record, a disk, held layers, and an event', async () => {
    const id = await engine.create({}, 'web');
    expect(engine.state(id)).toBe('created');
    expect(engine.disks.disks).toContain(id);
    expect(engine.layers.references.get(id)).toEqual(['sha256:aaa', 'sha256:bbb']);
    expect(engine.vms.vms).toHaveLength(0);
    expect(engine.actions()).toEqual(['create']);
    expect(engine.documents.all('containers')).toHaveLength(1);
  });

  it('refuses a name that is taken', async () => {
    const id = await engine.create({}, 'web');
    await expect(engine.create({}, '/web')).rejects.toThrow(
      `Conflict. The container name "/web" is already in use by container "${id}". ` +
        'You have to remove (or rename) that container to be able to reuse that name.',
    );
  });

  it('leaves nothing when the disk cannot be made', async () => {
    engine.disks.failure = new Error('disk full');
    await expect(engine.create({}, 'web')).rejects.toThrow('disk full');
    expect(engine.layers.references.size).toBe(0);
    expect(engine.registry.list()).toHaveLength(0);
    expect(engine.registry.nameIsFree('web')).toBe(true);
  });

  it.each([
    [{ Image: 'nosuch' }, 'NotFound', 'No such image: nosuch:latest'],
    [{ Image: '' }, 'InvalidParameter', 'No command specified'],
    [
      { WorkingDir: 'rel' },
      'InvalidParameter',
      "the working directory 'rel' is invalid, it needs to be an absolute path",
    ],
    [{ HostConfig: { PidMode: 'container:x' } }, 'InvalidParameter', 'No such container: x'],
    [
      { HostConfig: { Mounts: [{ Type: 'foo', Target: '/t' }] } },
      'InvalidParameter',
      'invalid mount config for type "foo": mount type unknown',
    ],
  ])('refuses %j', async (body, code, message) => {
    await expect(engine.create(body)).rejects.toMatchObject({ code, message });
    expect(engine.disks.disks.size).toBe(0);
  });
});

describe('start', () => {
  it('runs the container on a VM of its own and tells the guest everything', async () => {
    const id = await engine.running({ Env: ['A=1'], OpenStdin: true }, 'web');
    const vm = engine.vms.last;
    expect(vm.state).toEqual({ kind: 'Associated', podId: id });
    expect(vm.agent.requests.map(({ op }) => op)).toEqual(['pod.setup', 'container.start']);
    const { container } = vm.agent.params('container.start');
    expect(container.process.args).toEqual(['sleep', '1']);
    expect(container.process.env).toEqual([
      'PATH=/bin',
      `HOSTNAME=${id.slice(0, 12)}`,
      'A=1',
      'FROM_IMAGE=1',
    ]);
    expect(container.process).toMatchObject({ stdin: 1, stdout: 2, stderr: 3 });
    expect(container.rootfs).toEqual({
      layers: [{ lun: 2 }, { lun: 1 }],
      writable: { lun: 0 },
      readonly: false,
    });
    expect(container.files.map(({ path }) => path)).toEqual([
      '/etc/resolv.conf',
      '/etc/hostname',
      '/etc/hosts',
    ]);
    expect(engine.networks.attached).toEqual(['tap0']);
    expect(engine.state(id)).toBe('running');
    expect(engine.actions()).toEqual(['create', 'connect', 'start']);
  });

  it('answers NotModified when it runs already', async () => {
    const id = await engine.running();
    await expect(engine.containers.start(id, {})).rejects.toMatchObject({ code: 'NotModified' });
  });

  it('queues: two starts at once make one VM', async () => {
    const id = await engine.create();
    const results = await Promise.allSettled([
      engine.containers.start(id, {}),
      engine.containers.start(id, {}),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(engine.vms.vms).toHaveLength(1);
  });

  const failures: [string, (broken: TestEngine) => void][] = [
    ['no VM', (broken) => (broken.vms.failure = new DaemonError('Unavailable', 'no VM'))],
    ['no disks', (broken) => (broken.vms.prepare = (vm) => (vm.plugFailure = new Error('no disks')))],
    ['no address', (broken) => (broken.networks.allocateFailure = new Error('no address'))],
    ['no bridge', (broken) => (broken.networks.attachFailure = new Error('no bridge'))],
    ['no port', (broken) => (broken.networks.publishFailure = new Error('no port'))],
    [
      'no setup',
      (broken) =>
        (broken.vms.prepare = (vm) =>
          vm.agent.on('pod.setup', () => {
            throw new DaemonError('Unavailable', 'no setup');
          })),
    ],
    [
      'no start',
      (broken) =>
        (broken.vms.prepare = (vm) =>
          vm.agent.on('container.start', () => {
            throw new DaemonError('Unavailable', 'no start');
          })),
    ],
  ];
  it.each(failures)('undoes everything: %s', async (text, breakIt) => {
    breakIt(engine);
    const id = await engine.create({ HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '80' }] } } });
    await expect(engine.containers.start(id, {})).rejects.toThrow(text);
    await engine.settled(id);
    expect(engine.vms.list()).toHaveLength(0);
    expect(engine.networks.endpoints.size).toBe(0);
    expect(engine.networks.published).toHaveLength(0);
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'created', exitCode: 128 });
    expect(engine.registry.get(id).record.networks['bridge']?.endpoint).toBeUndefined();
    // It can be started as soon as the reason is gone.
    const later = new TestEngine(engine);
    later.registry.load();
    await later.containers.start(id, {});
    expect(later.state(id)).toBe('running');
    later.dispose();
  });

  it('reports a command that is not there as Docker does, and ends who waits and is attached', async () => {
    const notFound = 'exec: "nope": executable file not found in $PATH';
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.start', () => {
        throw new AgentError({ code: 'ENOENT', phase: 'exec', message: notFound });
      });
    const id = await engine.create({ Cmd: ['nope'] });
    const { exit } = await engine.containers.wait(id, 'next-exit', never);
    const message =
      'failed to create shim task: OCI runtime create failed: runc create failed: ' +
      `unable to start container process: ${notFound}: unknown`;
    await expect(engine.containers.start(id, {})).rejects.toMatchObject({
      code: 'InvalidParameter',
      message,
    });
    await expect(exit).resolves.toMatchObject({ StatusCode: 127 });
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'created', exitCode: 127, error: message });
  });

  it('removes an AutoRemove container that could not be started', async () => {
    engine.vms.failure = new Error('no VM');
    const id = await engine.create({ HostConfig: { AutoRemove: true } });
    const { exit } = await engine.containers.wait(id, 'removed', never);
    await expect(engine.containers.start(id, {})).rejects.toThrow('no VM');
    await expect(exit).resolves.toMatchObject({ StatusCode: 128 });
    expect(engine.state(id)).toBe('gone');
    expect(engine.disks.disks.size).toBe(0);
  });
});

describe('exit', () => {
  it('records the code, tells the waiters, acknowledges, and brings the disk to rest', async () => {
    const id = await engine.running();
    const { agent } = engine.vms.last;
    const { exit } = await engine.containers.wait(id, 'not-running', never);
    agent.exit(id, { exitCode: 3 });
    await expect(exit).resolves.toEqual({ StatusCode: 3, Error: null });
    await engine.settled(id);
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 3, oomKilled: false });
    expect(agent.acked).toEqual([1]);
    expect(agent.requests.at(-1)?.op).toBe('shutdown');
    expect(engine.vms.list()).toHaveLength(0);
    expect(engine.networks.endpoints.size).toBe(0);
    expect(engine.actions()).toEqual(['create', 'connect', 'start', 'die', 'disconnect']);
  });

  it('removes an AutoRemove container without waiting for the guest', async () => {
    const id = await engine.running({ HostConfig: { AutoRemove: true } });
    const { agent } = engine.vms.last;
    const { exit } = await engine.containers.wait(id, 'removed', never);
    agent.exit(id, { exitCode: 7 });
    await expect(exit).resolves.toMatchObject({ StatusCode: 7 });
    await engine.settled(id);
    expect(agent.requests.map(({ op }) => op)).not.toContain('shutdown');
    expect(engine.vms.list()).toHaveLength(0);
    expect(engine.disks.disks.size).toBe(0);
    expect(engine.documents.all('containers')).toHaveLength(0);
    expect(readdirSync(join(engine.dataRoot, 'containers'))).toEqual([]);
    expect(engine.actions().at(-1)).toBe('destroy');
  });

  it('is 137 with a reason when the VM crashes', async () => {
    const id = await engine.running();
    const { exit } = await engine.containers.wait(id, 'not-running', never);
    engine.vms.last.crash();
    await expect(exit).resolves.toMatchObject({ StatusCode: 137 });
    expect(engine.registry.get(id).state).toMatchObject({
      kind: 'exited',
      error: 'virtual machine ended: killed by SIGKILL',
    });
  });

  it('remembers an OOM kill', async () => {
    const id = await engine.running();
    const { agent } = engine.vms.last;
    agent.emit({ seq: 1, event: 'oom', containerId: id });
    agent.exit(id, { exitCode: 137 });
    await engine.settled(id);
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'exited', oomKilled: true });
    expect(engine.actions()).toContain('oom');
  });

  it('that arrives before the answer to start is taken after it', async () => {
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.start', ({ container }) => {
        vm.agent.exit(container.id, { exitCode: 5 });
        return { pid: 1 };
      });
    const id = await engine.running();
    await engine.settled(id);
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 5 });
    expect(engine.actions()).toEqual(['create', 'connect', 'start', 'die', 'disconnect']);
  });
});

describe('restart policy', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'performance', 'hrtime'] }));
  afterEach(() => jest.useRealTimers());

  it('starts again after a pause, counts, and gives up at the maximum', async () => {
    const id = await engine.running({
      HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 1 } },
    });
    engine.vms.last.agent.exit(id, { exitCode: 1 });
    await engine.settled(id);
    expect(engine.state(id)).toBe('restarting');
    jest.advanceTimersByTime(100);
    await engine.settled(id);
    expect(engine.state(id)).toBe('running');
    expect(engine.registry.get(id).record.restartCount).toBe(1);
    engine.vms.last.agent.exit(id, { exitCode: 1 });
    await engine.settled(id);
    expect(engine.state(id)).toBe('exited');
  });

  it('tries again when the VM is lost before the process runs, and does not count that', async () => {
    const id = await engine.running({
      HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 1 } },
    });
    const lost = new DaemonError('Unavailable', 'the VM’s agent: the connection is closed');
    engine.vms.last.agent.exit(id, { exitCode: 1 });
    await engine.settled(id);
    engine.vms.prepare = (vm) => vm.agent.on('container.start', () => Promise.reject(lost));
    for (const pause of [100, 200]) {
      jest.advanceTimersByTime(pause);
      await engine.settled(id);
      expect(engine.state(id)).toBe('restarting');
    }
    engine.vms.prepare = () => undefined;
    jest.advanceTimersByTime(400);
    await engine.settled(id);
    expect(engine.state(id)).toBe('running');
    expect(engine.registry.get(id).record.restartCount).toBe(1);
  });

  it('gives up when the container itself cannot be started', async () => {
    const id = await engine.running({ HostConfig: { RestartPolicy: { Name: 'always' } } });
    engine.vms.last.agent.exit(id, { exitCode: 1 });
    await engine.settled(id);
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.start', () =>
        Promise.reject(new AgentError({ code: 'ENOENT', phase: 'exec', message: '/gone' })),
      );
    jest.advanceTimersByTime(100);
    await engine.settled(id);
    jest.advanceTimersByTime(60_000);
    await engine.settled(id);
    expect(engine.state(id)).toBe('exited');
  });

  it('does not start what a user stopped', async () => {
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.signal', ({ id, signal }) => {
        vm.agent.exit(id, { exitCode: 128 + signal, signal });
        return {};
      });
    const id = await engine.running({ HostConfig: { RestartPolicy: { Name: 'always' } } });
    await engine.containers.stop(id, {});
    await engine.settled(id);
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 143 });
    expect(engine.registry.get(id).record.manuallyStopped).toBe(true);
  });

  it('is given up by a stop during the pause', async () => {
    const id = await engine.running({ HostConfig: { RestartPolicy: { Name: 'always' } } });
    engine.vms.last.agent.exit(id, { exitCode: 1 });
    await engine.settled(id);
    await engine.containers.stop(id, {});
    jest.advanceTimersByTime(60_000);
    await engine.settled(id);
    expect(engine.state(id)).toBe('exited');
    expect(engine.vms.vms).toHaveLength(1);
  });
});

describe('stop and kill', () => {
  it('sends the stop signal, then SIGKILL when the time is over', async () => {
    const signals: number[] = [];
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.signal', ({ id, signal }) => {
        signals.push(signal);
        if (signal === 9) vm.agent.exit(id, { exitCode: 137, signal: 9 });
        return {};
      });
    const id = await engine.running({ StopSignal: 'SIGINT' });
    await engine.containers.stop(id, { timeoutSeconds: 0 });
    expect(signals).toEqual([2, 9]);
    expect(engine.state(id)).toBe('exited');
    expect(engine.actions()).toEqual([
      'create',
      'connect',
      'start',
      'kill',
      'kill',
      'die',
      'disconnect',
      'stop',
    ]);
  });

  it('ends a VM whose guest does not answer', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'performance', 'hrtime'] });
    const id = await engine.running();
    const { vms } = engine;
    const killed = engine.containers.kill(id, {});
    await engine.settled(id);
    // Only now is the VM ended: by the fake as a crash would look like to the engine.
    vms.last.end = () => {
      vms.last.crash();
      return Promise.resolve();
    };
    jest.advanceTimersByTime(10_000);
    jest.useRealTimers();
    await killed;
    expect(engine.registry.get(id).state).toMatchObject({ kind: 'exited', exitCode: 137 });
  });

  it('refuses in Docker’s words', async () => {
    const id = await engine.create({}, 'web');
    await expect(engine.containers.stop(id, {})).rejects.toMatchObject({ code: 'NotModified' });
    await expect(engine.containers.kill('web', {})).rejects.toMatchObject({
      code: 'Conflict',
      message: `Cannot kill container: web: Container ${id} is not running`,
    });
    await expect(engine.containers.kill('web', { signal: 'FOO' })).rejects.toMatchObject({
      code: 'InvalidParameter',
      message: 'Invalid signal: FOO',
    });
    await engine.containers.start(id, {});
    await expect(engine.containers.kill(id, { signal: '99' })).rejects.toThrow(
      `Cannot kill container: ${id}: The linux daemon does not support signal 99`,
    );
  });

  it('restarts on another VM', async () => {
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.signal', ({ id }) => {
        vm.agent.exit(id, { exitCode: 0 });
        return {};
      });
    const id = await engine.running({ HostConfig: { AutoRemove: true } });
    await engine.containers.restart(id, {});
    expect(engine.state(id)).toBe('running');
    expect(engine.vms.vms).toHaveLength(2);
    expect(engine.registry.get(id).record.hostConfig.AutoRemove).toBe(true);
  });
});

describe('pause', () => {
  it('freezes the processes, and leaves the CPUs to keep the time', async () => {
    const id = await engine.running();
    const vm = engine.vms.last;
    await engine.containers.pause(id);
    expect(engine.state(id)).toBe('paused');
    await expect(engine.containers.pause(id)).rejects.toThrow(`Container ${id} is already paused`);
    await expect(engine.containers.start(id, {})).rejects.toThrow(
      'cannot start a paused container, try unpause instead',
    );
    await engine.containers.unpause(id);
    expect(engine.state(id)).toBe('running');
    expect(vm.calls).toEqual([]);
    expect(
      vm.agent.requests.filter(({ op }) => op === 'container.freeze').map(({ params }) => params['frozen']),
    ).toEqual([true, false]);
    await expect(engine.containers.unpause(id)).rejects.toThrow(`Container ${id} is not paused`);
  });
});

describe('rename and remove', () => {
  it('renames, and says why not', async () => {
    const id = await engine.create({}, 'web');
    await engine.create({}, 'other');
    await engine.containers.rename(id, 'site');
    expect(engine.registry.get('/site').id).toBe(id);
    expect(engine.registry.nameIsFree('web')).toBe(true);
    await expect(engine.containers.rename(id, 'site')).rejects.toThrow(
      'Renaming a container with the same name as its current name',
    );
    await expect(engine.containers.rename(id, 'other')).rejects.toThrow(
      /^Error when allocating new name: Conflict\. The container name "\/other"/,
    );
  });

  it('refuses to remove what runs, unless forced', async () => {
    engine.vms.prepare = (vm) =>
      vm.agent.on('container.signal', ({ id }) => {
        vm.agent.exit(id, { exitCode: 137 });
        return {};
      });
    const id = await engine.running();
    const options = { force: false, volumes: false, link: false };
    await expect(engine.containers.remove(id, options)).rejects.toMatchObject({
      code: 'Conflict',
      message:
        `You cannot remove a running container ${id}. ` +
        'Stop the container before attempting removal or force remove',
    });
    await engine.containers.remove(id, { ...options, force: true });
    expect(engine.state(id)).toBe('gone');
    expect(engine.vms.list()).toHaveLength(0);
    expect(engine.layers.references.size).toBe(0);
  });

  it('leaves it dead when a step fails, from where it can be removed', async () => {
    const id = await engine.create();
    const options = { force: false, volumes: false, link: false };
    engine.disks.removeFailure = new Error('busy');
    await expect(engine.containers.remove(id, options)).rejects.toThrow('busy');
    expect(engine.state(id)).toBe('dead');
    engine.disks.removeFailure = undefined;
    await engine.containers.remove(id, options);
    expect(engine.state(id)).toBe('gone');
  });

  it('prunes what does not run', async () => {
    const running = await engine.running();
    const stopped = await engine.create({ Labels: { keep: 'no' } });
    await engine.create({ Labels: { keep: 'yes' } });
    const pruned = await engine.containers.prune(new Map([['label', ['keep=no']]]));
    expect(pruned).toEqual({ ContainersDeleted: [stopped], SpaceReclaimed: 4096 });
    expect(engine.state(running)).toBe('running');
  });
});
