import type { AttachOptions, LogLine } from '../../../../src/api/v1.41/backend';
import { attachToContainer } from '../../../../src/engine/sessions/attach';
import { DetachKeyFilter, detachKeysOf } from '../../../../src/semantics/streams/detach-keys';
import type { RunOffsets } from '../../../../src/semantics/logs/log-record';
import { StreamHub, type StreamChunk } from '../../../../src/semantics/streams/stream-hub';
import { AgentError } from '../../../../src/vm/contract/agent-error';
import { fakeClient, TestEngine, type FakeClient } from '../../../support/fakes/engine-fakes';

let engine: TestEngine;
beforeEach(() => (engine = new TestEngine()));
afterEach(() => engine.dispose());

const everything: AttachOptions = { logs: false, stream: true, stdin: true, stdout: true, stderr: true };
const attach = (id: string, client: FakeClient, options: Partial<AttachOptions> = {}): Promise<void> =>
  engine.containers.attach(id, { ...everything, ...options }, () => client);
async function collect(chunks: AsyncIterable<StreamChunk>): Promise<StreamChunk[]> {
  const all: StreamChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('detach keys', () => {
  it.each([
    [undefined, [16, 17]],
    ['', [16, 17]],
    ['ctrl-a,x', [1, 120]],
    ['ctrl-@', [0]],
    ['a,b,c', [97, 98, 99]],
    ['ctrl-[', [27]],
    ['zzz', undefined],
    ['ctrl-!', undefined],
    ['ctrl-P', undefined],
    ['del', undefined],
    ['é', undefined],
    ['ctrl-_,DEL', [31, 127]],
    [',', undefined],
  ])('parses %j', (text, keys) => {
    expect(detachKeysOf(text)).toEqual(keys);
  });

  const filter = (...chunks: number[][]): { passed: number[]; detached: boolean } => {
    const keys = new DetachKeyFilter([16, 17]);
    const passed: number[] = [];
    for (const chunk of chunks) {
      const { pass, detached } = keys.push(Buffer.from(chunk));
      passed.push(...pass);
      if (detached) return { passed, detached };
    }
    return { passed, detached: false };
  };
  it('finds the sequence also across chunks, and lets what only looked like it through', () => {
    expect(filter([97, 16, 17, 98])).toEqual({ passed: [97], detached: true });
    expect(filter([97, 16], [17])).toEqual({ passed: [97], detached: true });
    expect(filter([16], [98])).toEqual({ passed: [16, 98], detached: false });
    expect(filter([16, 16, 17])).toEqual({ passed: [16], detached: true });
    expect(filter([16, 16, 98])).toEqual({ passed: [16, 16, 98], detached: false });
  });
});

describe('attach with the log', () => {
  it('repeats nothing that reached the log and the client’s queue', async () => {
    const container = engine.registry.get(await engine.running());
    const hub = new StreamHub();
    const client = fakeClient();
    const at = (offset: number) => ({ run: 'now', offset });
    async function* readLog(
      _signal: AbortSignal,
      onRead: (offsets: RunOffsets) => void,
    ): AsyncGenerator<LogLine> {
      hub.publish('stdout', Buffer.from('one\ntwo\nthr'), at(4));
      hub.publish('stderr', Buffer.from('err\n'), at(0));
      await tick();
      onRead({ run: 'now', stdout: 12, stderr: 0 });
      yield { stream: 'stdout', data: Buffer.from('zero\none\ntwo\n') };
      hub.publish('stdout', Buffer.from('ee\n'), at(15));
    }
    const attached = attachToContainer(container, { ...everything, logs: true }, () => client, {
      ref: 'c',
      hub,
      readLog,
      publish: () => undefined,
    });
    await tick();
    await tick();
    hub.endRun();
    await attached;
    expect([client.stdout, client.stderr]).toEqual(['zero\none\ntwo\nthree\n', 'err\n']);
  });

  it('keeps what another run wrote', () => {
    const subscription = new StreamHub().subscribe({ stdout: true, stderr: true });
    subscription.push({ stream: 'stdout', data: Buffer.from('new'), at: { run: 'next', offset: 0 } });
    subscription.skipTo('last', { stdout: 100, stderr: 100 });
    subscription.end();
    return expect(collect(subscription)).resolves.toMatchObject([{ data: Buffer.from('new') }]);
  });
});

describe('output', () => {
  it('goes to the log and to every client, and is acknowledged', async () => {
    const id = await engine.create();
    const [one, two] = [fakeClient(), fakeClient()];
    const attached = [attach(id, one), attach(id, two, { stderr: false })];
    await engine.containers.start(id, {});
    const { agent } = engine.vms.last;
    agent.outputs.get(1)?.write('hello\n');
    agent.outputs.get(2)?.write('oops\n');
    agent.exit(id);
    await Promise.all(attached);
    expect([one.stdout, one.stderr]).toEqual(['hello\n', 'oops\n']);
    expect([two.stdout, two.stderr]).toEqual(['hello\n', '']);
    expect(agent.outputs.get(1)?.acked).toBe(6);
    const late = fakeClient();
    await engine.settled(id);
    await attach(id, late, { logs: true, stream: false });
    expect(late.stdout).toBe('hello\n');
  });

  it('without a newline is the guest’s until the line or the stream ends', async () => {
    const id = await engine.running();
    const { agent } = engine.vms.last;
    const output = agent.outputs.get(1);
    output?.write('one\nabc');
    while (output?.acked === 0) await tick();
    expect(output?.acked).toBe(4);
    agent.exit(id);
    await engine.settled(id);
    expect(output?.acked).toBe(7);
  });

  it('of a slow client holds the acknowledgement back, not the others', async () => {
    const id = await engine.running();
    const { agent } = engine.vms.last;
    const slow = fakeClient();
    let release: () => void = () => undefined;
    const blocked = new Promise<void>((resolve) => (release = resolve));
    slow.write = () => blocked;
    const fast = fakeClient();
    const attached = [attach(id, slow), attach(id, fast)];
    await tick();
    const output = agent.outputs.get(1);
    const chunk = `${'x'.repeat(59_999)}\n`;
    for (let count = 0; count < 30; count++) output?.write(chunk);
    while (fast.stdout.length < 30 * chunk.length) await tick();
    for (let count = 0; count < 20; count++) await tick();
    expect(output?.acked).toBeLessThan(30 * chunk.length);
    release();
    while ((output?.acked ?? 0) < 30 * chunk.length) await tick();
    agent.exit(id);
    await Promise.all(attached);
  });

  it('of a client that left is nobody’s concern', async () => {
    const id = await engine.running();
    const client = fakeClient();
    const attached = attach(id, client);
    client.leave();
    await attached;
    const output = engine.vms.last.agent.outputs.get(1);
    output?.write('hello\n');
    while (output?.acked !== 6) await tick();
  });

  it('ends for who attached before a start that fails', async () => {
    engine.vms.failure = new Error('no VM');
    const id = await engine.create();
    const attached = attach(id, fakeClient());
    await expect(engine.containers.start(id, {})).rejects.toThrow('no VM');
    await attached;
  });
});

describe('input', () => {
  it('written before the start reaches the process, and its end with StdinOnce', async () => {
    const id = await engine.create({ OpenStdin: true, StdinOnce: true });
    const attached = attach(id, fakeClient(['typed']));
    await engine.containers.start(id, {});
    await tick();
    const { agent } = engine.vms.last;
    expect(agent.inputs.get(1)).toMatchObject({ text: 'typed', ended: true });
    agent.exit(id);
    await attached;
  });

  it('without StdinOnce stays open, and its end ends the attachment when the answer is there', async () => {
    const id = await engine.running({ OpenStdin: true });
    const client = fakeClient(['typed']);
    const attached = attach(id, client);
    await tick();
    engine.vms.last.agent.outputs.get(2)?.write('answer');
    await attached;
    expect(client.stdout).toBe('answer');
    expect(engine.vms.last.agent.inputs.get(1)).toMatchObject({ text: 'typed', ended: false });
    expect(engine.state(id)).toBe('running');
  });

  it('detaches from a terminal by its keys, with an event', async () => {
    const id = await engine.running({ OpenStdin: true, StdinOnce: true, Tty: true });
    await attach(id, fakeClient(['ls', '\x10\x11'], { stays: true }));
    expect(engine.vms.last.agent.inputs.get(1)).toMatchObject({ text: 'ls', ended: false });
    expect(engine.actions().slice(-2)).toEqual(['attach', 'detach']);
  });

  it('has no detach keys without a terminal', async () => {
    const id = await engine.running({ OpenStdin: true, StdinOnce: true });
    const attached = attach(id, fakeClient(['\x10\x11']));
    await tick();
    engine.vms.last.agent.exit(id);
    await attached;
    expect(engine.vms.last.agent.inputs.get(1)?.text).toBe('\x10\x11');
  });

  it('refuses what cannot be attached to', async () => {
    const id = await engine.running();
    await expect(attach(id, fakeClient(), { detachKeys: 'zzz' })).rejects.toMatchObject({
      code: 'InvalidParameter',
      message: 'Invalid detach keys (zzz) provided',
    });
    await engine.containers.pause(id);
    await expect(attach(id, fakeClient())).rejects.toThrow(
      `container ${id} is paused, unpause the container before attach`,
    );
  });
});

describe('exec', () => {
  const execs = (): TestEngine['execs'] => engine.execs;
  const unused = (): never => {
    throw new Error('a detached exec opens no stream');
  };

  it('runs beside the container and reports its exit', async () => {
    const id = await engine.running({ Env: ['A=1'], User: 'www' });
    const { agent } = engine.vms.last;
    const { Id: execId } = await execs().create(id, {
      Cmd: ['cat', '-n'],
      Env: ['B=2'],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    expect([...engine.registry.get(id).execIds]).toEqual([execId]);
    const client = fakeClient(['in']);
    const session = execs().start(execId, { detach: false, tty: false }, () => client);
    await tick();
    expect(agent.params('exec.start')).toMatchObject({
      id: execId,
      containerId: id,
      process: { args: ['cat', '-n'], user: 'www', stdin: 3, stdout: 4, stderr: 5 },
    });
    expect(agent.params('exec.start').process.env).toContain('B=2');
    expect(await execs().inspect(execId)).toMatchObject({ Running: true, ExitCode: null, Pid: 4712 });
    agent.outputs.get(4)?.write('out');
    agent.outputs.get(4)?.end();
    agent.outputs.get(5)?.end();
    agent.exit(execId, { exitCode: 9 }, 'exec');
    await session;
    expect(client.stdout).toBe('out');
    expect(agent.inputs.get(3)).toMatchObject({ text: 'in', ended: true });
    expect(await execs().inspect(execId)).toMatchObject({ Running: false, ExitCode: 9, Pid: 4712 });
    expect(engine.registry.get(id).execIds.size).toBe(0);
    expect(engine.actions().slice(-3)).toEqual(['exec_create: cat -n', 'exec_start: cat -n', 'exec_die']);
    await expect(execs().start(execId, { detach: true, tty: false }, unused)).rejects.toThrow(
      `Error: Exec command ${execId} has already run`,
    );
    await expect(execs().resize(execId, { rows: 1, columns: 1 })).rejects.toThrow('no such exec');
  });

  it('that cannot be run: an error when detached, text in the stream when not', async () => {
    engine.vms.prepare = (vm) =>
      vm.agent.on('exec.start', () => {
        throw new AgentError({
          code: 'ENOENT',
          phase: 'exec',
          message: 'exec: "nope": executable file not found in $PATH',
        });
      });
    const message =
      'OCI runtime exec failed: exec failed: unable to start container process: ' +
      'exec: "nope": executable file not found in $PATH: unknown';
    const id = await engine.running();
    const first = await execs().create(id, { Cmd: ['nope'] });
    await expect(execs().start(first.Id, { detach: true, tty: false }, unused)).rejects.toMatchObject({
      code: 'InvalidParameter',
      message,
    });
    const client = fakeClient();
    const second = await execs().create(id, { Cmd: ['nope'], AttachStdout: true });
    await execs().start(second.Id, { detach: false, tty: false }, () => client);
    expect(client.stdout).toBe(`${message}\r\n`);
    expect(await execs().inspect(second.Id)).toMatchObject({ Running: false, ExitCode: 126 });
  });

  it('is resized when it has started, if that comes later', async () => {
    const id = await engine.running();
    const { Id: execId } = await execs().create(id, { Cmd: ['sh'], Tty: true });
    const resized = execs().resize(execId, { rows: 10, columns: 20 });
    await execs().start(execId, { detach: true, tty: true }, unused);
    await resized;
    expect(engine.vms.last.agent.params('process.resize')).toEqual({ id: execId, rows: 10, columns: 20 });
  });

  it('is not resized if nobody starts it in 10 s', async () => {
    const id = await engine.running();
    const { Id: execId } = await execs().create(id, { Cmd: ['sh'], Tty: true });
    jest.useFakeTimers();
    try {
      const resized = execs().resize(execId, { rows: 10, columns: 20 });
      jest.advanceTimersByTime(10_000);
      await expect(resized).rejects.toMatchObject({
        code: 'Internal',
        message: 'timeout waiting for exec session ready',
      });
    } finally {
      jest.useRealTimers();
    }
  });

  it('is marked by the first sweep after its end, and forgotten by the next', async () => {
    const id = await engine.running();
    const { Id: idle } = await execs().create(id, { Cmd: ['true'] });
    const { Id: ended } = await execs().create(id, { Cmd: ['true'] });
    await execs().start(ended, { detach: true, tty: false }, unused);
    engine.vms.last.agent.exit(ended, { exitCode: 0 }, 'exec');
    await tick();
    execs().sweep();
    expect(await execs().inspect(ended)).toMatchObject({ CanRemove: true });
    expect(await execs().inspect(idle)).toMatchObject({ CanRemove: false });
    execs().sweep();
    expect(() => execs().inspect(ended)).toThrow('No such exec instance');
    expect(await execs().inspect(idle)).toMatchObject({ CanRemove: false });
  });

  it('ends with its container', async () => {
    const id = await engine.running();
    const { Id: execId } = await execs().create(id, { Cmd: ['sleep'], AttachStdout: true });
    const session = execs().start(execId, { detach: false, tty: false }, () => fakeClient());
    await tick();
    engine.vms.last.crash();
    await session;
    await engine.settled(id);
    expect(await execs().inspect(execId)).toMatchObject({ Running: false, ExitCode: 137 });
  });

  it('refuses in Docker’s words', async () => {
    const id = await engine.create();
    const command = { Cmd: ['true'] };
    expect(() => execs().create(id, command)).toThrow(`Container ${id} is not running`);
    await engine.containers.start(id, {});
    expect(() => execs().create(id, { Cmd: [] })).toThrow('No exec command specified');
    expect(() => execs().create(id, { ...command, DetachKeys: 'zzz' })).toThrow(
      'Invalid escape keys (zzz) provided',
    );
    expect(() => execs().inspect('abc')).toThrow('No such exec instance: abc');
    await engine.containers.pause(id);
    expect(() => execs().create(id, command)).toThrow(
      `Container ${id} is paused, unpause the container before exec`,
    );
  });
});
