// Work on containers' files while something else happens: an exit, a client that leaves, a VM that is lost.

import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import type { AgentOperations } from '../../../../src/vm/contract/protocol';
import { brokenPipe } from '../../../../src/vm/agent/input-channel';
import type { Image } from '../../../../src/storage/contract/image';
import type { ImageConfig } from '../../../../src/docker/image-config';
import { busyboxImage, TestEngine, type FakeVm } from '../../../support/fakes/engine-fakes';

type Job = AgentOperations['job.start']['params'];

let engine: TestEngine;
let jobs: Job[];
/** What a test waits for: a job of a kind. */
let onJob: (job: Job) => void;

beforeEach(() => {
  engine = new TestEngine();
  jobs = [];
  onJob = () => undefined;
  engine.vms.prepare = (vm) =>
    vm.agent.on('job.start', (job) => {
      jobs.push(job);
      if (job.job.kind === 'stat') answerStat(vm, job);
      void setImmediate().then(() => onJob(job));
      return { pid: 1 };
    });
});
afterEach(() => engine.dispose());

const never = new AbortController().signal;
const options = { noOverwriteDirNonDir: false, copyUidGid: false };

function answerStat(vm: FakeVm, job: Job): void {
  void setImmediate().then(() => {
    const directory = 0o040755;
    vm.agent.outputs.get(job.stdout)?.write(`${directory} 0 0 0 ${directory}\0/d\0\0/d\0`);
    finish(vm, job);
  });
}

let events = 0;
function tellExit(vm: FakeVm, kind: 'container' | 'exec', id: string, exitCode: number): void {
  events += 1;
  const status = { exitCode, signal: 0, oomKilled: false, timeMs: Date.now() };
  vm.agent.emit({ seq: events, event: 'exit', kind, id, status });
}

function finish(vm: FakeVm, job: Job, exitCode = 0): void {
  for (const channel of [job.stdout, job.stderr]) vm.agent.outputs.get(channel)?.end();
  tellExit(vm, 'exec', job.id, exitCode);
}

/** The container's own process: its streams only are ended. */
function exitContainer(vm: FakeVm, id: string, exitCode: number): void {
  const { process } = vm.agent.params('container.start').container;
  for (const channel of [process.stdout, process.stderr])
    if (channel !== undefined) vm.agent.outputs.get(channel)?.end();
  tellExit(vm, 'container', id, exitCode);
}

function started(kind: Job['job']['kind']): Promise<Job> {
  return new Promise((resolve) => {
    onJob = (job) => {
      if (job.job.kind === kind) resolve(job);
    };
  });
}

/** The job is killed, and ends of it. */
function killed(vm: FakeVm, job: Job): Promise<void> {
  return new Promise((resolve) =>
    vm.agent.on('process.signal', ({ id }) => {
      if (id !== job.id) return {};
      void setImmediate().then(() => finish(vm, job, 137));
      resolve();
      return {};
    }),
  );
}

/** Whatever could go on does. */
async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await setImmediate();
}

function ops(vm: FakeVm): string[] {
  return vm.agent.requests.map(({ op }) => op);
}

describe('a container that exits while its files are read', () => {
  it('has exited at once, and its VM ends when they are', async () => {
    const id = await engine.running();
    const vm = engine.vms.last;
    const archived = started('archive');
    const { archive } = await engine.containers.archiveGet(id, '/d', never);
    const job = await archived;
    const { exit } = await engine.containers.wait(id, 'not-running', never);
    exitContainer(vm, id, 3);
    await expect(exit).resolves.toMatchObject({ StatusCode: 3 });
    vm.agent.outputs.get(job.stdout)?.write('whole');
    await manyTurns();
    expect(vm.isEnded).toBe(false);
    expect(ops(vm)).not.toContain('shutdown');
    finish(vm, job);
    expect((await buffer(archive)).toString()).toBe('whole');
    await vm.ended;
    expect(ops(vm)).toContain('shutdown');
  });

  it('is removed after that, if it goes with its exit', async () => {
    const id = await engine.running({ HostConfig: { AutoRemove: true } });
    const vm = engine.vms.last;
    const exported = started('export');
    const archive = await engine.containers.export(id, never);
    const job = await exported;
    const { exit } = await engine.containers.wait(id, 'removed', never);
    exitContainer(vm, id, 0);
    await manyTurns();
    expect(engine.state(id)).toBe('exited');
    archive.destroy();
    finish(vm, job);
    await exit;
    expect(engine.state(id)).toBe('gone');
  });
});

describe('a client that leaves', () => {
  it('before its archive has begun has the job killed', async () => {
    const id = await engine.running();
    const vm = engine.vms.last;
    const body = new Readable({ read: () => undefined });
    const over = started('extract').then((job) => {
      body.destroy(new Error('aborted'));
      return killed(vm, job);
    });
    await expect(engine.containers.archivePut(id, '/d', body, options, never)).rejects.toThrow();
    await over;
  });

  it('while the job is being started has it killed', async () => {
    const id = await engine.running();
    const vm = engine.vms.last;
    const client = new AbortController();
    const body = new Readable({ read: () => undefined });
    let over: Promise<void> | undefined;
    vm.agent.on('job.start', (job) => {
      jobs.push(job);
      if (job.job.kind === 'stat') answerStat(vm, job);
      else {
        over = killed(vm, job);
        client.abort();
        body.destroy(new Error('aborted'));
      }
      return { pid: 1 };
    });
    await expect(engine.containers.archivePut(id, '/d', body, options, client.signal)).rejects.toThrow();
    await over;
  });

  it('is missed by nobody when its VM is lost, too', async () => {
    const id = await engine.create();
    const exported = started('export');
    const archive = await engine.containers.export(id, never);
    await exported;
    archive.destroy();
    engine.vms.last.crash();
    await engine.containers.start(id, {});
    expect(engine.state(id)).toBe('running');
  });
});

it('reads and drops what follows the end of an archive', async () => {
  const id = await engine.running();
  const vm = engine.vms.last;
  let read = 0;
  const body = Readable.from(
    (function* () {
      for (; read < 50; read += 1) yield Buffer.alloc(1024);
    })(),
  );
  const open = vm.agent.openInput.bind(vm.agent);
  vm.agent.openInput = (channel) =>
    Object.assign(open(channel), { write: () => Promise.reject(brokenPipe(channel)) });
  const extracted = started('extract').then((job) => finish(vm, job));
  await engine.containers.archivePut(id, '/d', body, options, never);
  await extracted;
  expect(read).toBe(50);
});

it('asks another VM when the one that held the files is gone', async () => {
  const id = await engine.create();
  await engine.containers.archiveStat(id, '/d');
  expect(engine.vms.vms).toHaveLength(1);
  await engine.containers.archiveStat(id, '/d');
  expect(engine.vms.vms).toHaveLength(1);
  engine.vms.last.crash();
  await engine.containers.archiveStat(id, '/d');
  expect(engine.vms.vms).toHaveLength(2);
});

describe('commit', () => {
  const request = { repo: '', tag: '', author: '', comment: '', changes: [], config: {} };
  let created: { config: ImageConfig; parentId: string | undefined }[];

  /** The image store has these images only, and the layers' one nothing to hold. */
  function withImages(find: () => Image | undefined): void {
    created = [];
    Object.assign(engine.parts.layers, { hold: () => () => undefined });
    Object.assign(engine.parts.images, {
      find,
      create: (config: ImageConfig, { parentId }: { parentId?: string }) => {
        created.push({ config, parentId });
        return Promise.resolve(busyboxImage);
      },
    });
  }

  /** The layer of a container that has changed nothing. */
  function answerLayer(vm: FakeVm, job: Job): void {
    vm.agent.outputs.get(job.stdout)?.write('\0'.repeat(1024));
    finish(vm, job);
  }

  it('of a container that ends meanwhile succeeds', async () => {
    const id = await engine.running();
    const vm = engine.vms.last;
    withImages(() => busyboxImage);
    const layered = started('layer').then((job) => {
      expect(engine.state(id)).toBe('paused');
      exitContainer(vm, id, 137);
      answerLayer(vm, job);
    });
    await engine.containers.commit({ ...request, container: id, pause: true });
    await layered;
    expect(engine.state(id)).toBe('exited');
    expect(created).toMatchObject([{ parentId: busyboxImage.id }]);
  });

  it('of one whose image is gone tells of each of its layers, and of no parent', async () => {
    const id = await engine.running();
    const vm = engine.vms.last;
    withImages(() => undefined);
    const layered = started('layer').then((job) => answerLayer(vm, job));
    await engine.containers.commit({ ...request, container: id, pause: false });
    await layered;
    const [image] = created;
    expect(image?.parentId).toBe('');
    expect(image?.config.history?.map(({ empty_layer: isEmpty }) => isEmpty ?? false)).toEqual([
      false,
      false,
      true,
    ]);
  });
});
