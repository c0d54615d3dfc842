// VMs as the pool makes them, on QEMU: what a clone is, what runs in it, and what is left when it ends.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { probeAccelerator, describeTemplate, type PooledVms } from '../../../src/vm/pool/vm-pool';
import type { Vm } from '../../../src/vm/contract/vm';
import { containerSpec, podSpec, processSpec, TestImages } from '../../support/guests/guest-specs';
import { collect, exitOf, openFiles, readProc, VmLab } from '../../support/labs/vm-lab';

jest.setTimeout(180_000);

let lab: VmLab;
const images = new TestImages();
let pool: PooledVms;

beforeAll(async () => {
  chmodSync(images.directory, 0o711);
  chmodSync(images.layer, 0o644);
  lab = await VmLab.create();
  pool = await lab.pool();
  await pool.ensureTemplate();
});

afterAll(async () => {
  await lab.remove();
  images.remove();
});

afterEach(async () => {
  await Promise.all(pool.list().map((vm) => vm.end()));
});

interface Running {
  vm: Vm;
  stdin: number;
  stdout: number;
  output: ReturnType<typeof collect>;
  exited: ReturnType<typeof exitOf>;
}

/** A Pod with one container in a VM of its own. */
async function run(args: string[], id = 'c1', vm?: Vm): Promise<Running> {
  const own = vm ?? (await pool.acquire('pod', {}));
  const [layer = 0, writable = 0] = await own.plugDisks([
    { id: 'layer', hostPath: images.layer, format: 'raw', readOnly: true, durable: false },
    { id: 'writable', hostPath: images.writable(), format: 'raw', readOnly: false, durable: false },
  ]);
  await own.agent.request('pod.setup', { pod: podSpec('pod') });
  const [stdin, stdout] = [own.agent.allocateChannel(), own.agent.allocateChannel()];
  const output = collect(own.agent.openOutput(stdout));
  const exited = exitOf(own, id);
  const container = containerSpec(id, { layers: [layer], writable }, processSpec(args, { stdin, stdout }));
  await own.agent.request('container.start', { container });
  return { vm: own, stdin, stdout, output, exited };
}

/** What QEMU has to itself: of the guest's memory, the pages that were written to. */
function anonymousMib(pid: number): number {
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(readProc(pid, 'smaps_rollup'))?.[1]) / 1024;
}

const sh = (script: string): string[] => ['sh', '-c', script];

describe('a clone', () => {
  test('runs a container and leaves nothing behind', async () => {
    const before = { files: openFiles().length, qemus: lab.qemus().length };
    const { vm, output, exited } = await run(sh('echo hello; exit 3'));
    expect(lab.taps()).toHaveLength(8);
    expect((await exited).status.exitCode).toBe(3);
    expect(await output.ended).toBe('hello\n');
    await vm.end();
    expect(await vm.ended).toEqual({ cause: 'requested', message: 'the VM was ended' });
    expect(lab.qemus()).toHaveLength(before.qemus);
    expect(lab.taps()).toEqual([]);
    expect(lab.runDirs()).toEqual([]);
    expect(pool.find(vm.id)).toBeUndefined();
    expect(openFiles().length).toBeLessThanOrEqual(before.files);
  });

  test('shares neither randomness nor identity with the next, and its clock is right', async () => {
    const script =
      'head -c 16 /dev/urandom | hexdump -ve \'1/1 "%02x"\'; echo; cat /proc/sys/kernel/random/uuid; date +%s';
    const [first, second] = await Promise.all(
      [0, 1].map(async () => {
        const { output, vm } = await run(sh(script));
        const text = await output.ended;
        await vm.end();
        return text.trim().split('\n');
      }),
    );
    expect(first![0]).toMatch(/^[0-9a-f]{32}$/);
    expect(first![0]).not.toBe(second![0]);
    expect(first![1]).not.toBe(second![1]);
    for (const lines of [first!, second!])
      expect(Math.abs(Number(lines[2]) - Date.now() / 1000)).toBeLessThan(15);
  });

  test('is locked up: own user, seccomp, no new privileges, private network, nothing of ours open', async () => {
    const vm = await pool.acquire('pod', {});
    const status = readProc(vm.pid, 'status');
    expect(status).toMatch(/^Uid:\s+(3[1-7]\d{4})\s+\1\s+\1\s+\1$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^Seccomp:\s+2$/m);
    expect(status).toMatch(/^Groups:\s*(310000)?\s*$/m);
    const netns = statSync(lab.namespacePath).ino;
    expect(statSync(`/proc/${vm.pid}/ns/net`).ino).toBe(netns);
    expect(
      readProc(vm.pid, 'environ')
        .split('\0')
        .filter(Boolean)
        .map((word) => word.split('=')[0]),
    ).toEqual(['PATH', 'LD_PRELOAD', 'CAISSON_READONLY']);
  });

  test("can't write to the template, and its run directory is not its own", async () => {
    const vm = await pool.acquire('pod', {});
    const [template] = await describeTemplate(lab.config());
    const memory = statSync(join(lab.directory, 'data/templates', template!.key, 'memory'));
    expect(memory.mode & 0o777).toBe(0o440);
    expect(memory.uid).toBe(0);
    const runDir = join(lab.directory, 'run/vms', vm.id);
    expect(statSync(runDir)).toMatchObject({ uid: 0 });
    expect(statSync(runDir).mode & 0o022).toBe(0);
    for (const name of ['qmp.sock', 'agent.sock', 'vm.json']) {
      expect(statSync(join(runDir, name)).mode & 0o077).toBe(0);
    }
    const maps = readProc(vm.pid, 'maps');
    expect(maps).toMatch(/ rw-p .*templates\/.*\/memory$/m);
  });

  test('gives the host back what its processes have freed, and leaves the template as it is', async () => {
    const bystander = await run(sh('read line; sha256sum /bin/busybox'));
    const used = 500;
    // `head` has a byte when dd has written to all of its memory, which dd keeps until nobody reads from it.
    const script = `exec 3<&0
      dd if=/dev/zero bs=${used}M count=1 2>/dev/null | { head -c 1 >/dev/null; echo used; read line <&3; }
      echo freed; read line; sha256sum /bin/busybox`;
    const user = await run(sh(script));
    const input = user.vm.agent.openInput(user.stdin);
    const before = anonymousMib(user.vm.pid);
    await until(() => user.output.text() === 'used\n');
    const full = anonymousMib(user.vm.pid);
    expect(full).toBeGreaterThan(before + 0.9 * used);
    await input.write(Buffer.from('\n'));
    await until(() => anonymousMib(user.vm.pid) < full - 0.8 * used);
    await input.write(Buffer.from('\n'));
    await bystander.vm.agent.openInput(bystander.stdin).write(Buffer.from('\n'));
    const sum = await bystander.output.ended;
    expect(await user.output.ended).toBe(`used\nfreed\n${sum}`);
    expect(await describeTemplate(lab.config())).toEqual([expect.objectContaining({ intact: true })]);
  });

  test('a VM of another size is booted', async () => {
    const vm = await pool.acquire('pod', { memoryBytes: 3 * 1024 ** 3 });
    // larger sizes are few, so that a template can serve the next one that asks
    expect(vm.resources.memoryBytes).toBe(4 * 1024 ** 3);
    const { output } = await run(sh('awk "/MemTotal/ {print \\$2}" /proc/meminfo'), 'c1', vm);
    expect(Number(await output.ended)).toBeGreaterThan(2.5 * 1024 ** 2);
  });
});

describe('a fork of the seed', () => {
  let forking: PooledVms;
  const seed = (): number =>
    lab.qemus().find((pid) => readProc(pid, 'status').includes('CapEff:\t00000000000000c0'))!;

  beforeAll(async () => {
    forking = await lab.pool({ poolSize: 1 });
    forking.start();
    await until(() => forking.status().idle === 1);
  });

  afterAll(() => forking.close({ endIdle: true }));

  test('is locked up as a clone is, found by its own name, and has no interface of the seed’s', async () => {
    const vm = await forking.acquire('pod', {});
    const status = readProc(vm.pid, 'status');
    expect(status).toMatch(/^PPid:\s+(\d+)$/m);
    expect(Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1])).toBe(seed());
    const uid = /^Uid:\s+(3[1-7]\d{4})\s+\1\s+\1\s+\1$/m.exec(status)?.[1];
    expect(uid).toBeDefined();
    expect(readProc(seed(), 'status')).not.toContain(`Uid:\t${uid}`);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\\s+0+$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    const threads = readdirSync(`/proc/${vm.pid}/task`).map((id) => readProc(vm.pid, `task/${id}/status`));
    expect(threads.length).toBeGreaterThan(3);
    for (const thread of threads) expect(thread).toMatch(/^Seccomp:\s+2$/m);
    expect(readProc(vm.pid, 'cmdline')).toContain(`caisson-${vm.id}\0`);
    expect(lab.taps()).toEqual(expect.arrayContaining(vm.nics.map(({ tapName }) => tapName)));
    // its own eight, those of idle ones, none of the seed's
    expect(new Set(lab.taps().map((name) => name.replace(/n\d$/, ''))).size).toBe(forking.list().length);
    const files = (pid: number): string[] =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(files(vm.pid).filter((file) => file.endsWith('/bulk'))).not.toHaveLength(0);
    for (const file of files(vm.pid).filter((name) => name.endsWith('/bulk')))
      expect(file).toContain(`/${vm.id}/`);
    const sockets = (pid: number): string[] => files(pid).filter((file) => file.startsWith('socket:'));
    expect(sockets(vm.pid).filter((socket) => sockets(seed()).includes(socket))).toEqual([]);
    // whose flags and place one of them could change for the others: what nobody can write to, nor waits at
    for (const shared of sharedFiles(seed(), vm.pid))
      expect(shared).toMatch(/^\/dev\/(null|urandom)$|\/memory$/);
    await vm.end();
  });

  test('runs containers, many at once, each with randomness and files of its own', async () => {
    const vms = await Promise.all(Array.from({ length: 8 }, (_, i) => forking.acquire(`pod${i}`, {})));
    const outputs = await Promise.all(
      vms.map(async (vm) => {
        const script = 'head -c 16 /dev/urandom | md5sum; echo own >/file; cat /file; seq 3000 | md5sum';
        const { output } = await run(sh(script), 'c1', vm);
        return (await output.ended).split('\n');
      }),
    );
    expect(new Set(outputs.map(([random]) => random)).size).toBe(vms.length);
    for (const [, own, sum] of outputs) {
      expect(own).toBe('own');
      expect(sum).toBe(outputs[0]![2]);
    }
    await Promise.all(vms.map((vm) => vm.end()));
  });

  test('lives on without the seed, and the pool makes another', async () => {
    const vm = await forking.acquire('pod', {});
    await until(() => forking.status().idle === 1);
    const before = seed();
    process.kill(before, 'SIGKILL');
    const { output } = await run(sh('echo on'), 'c1', vm);
    expect(await output.ended).toBe('on\n');
    // the idle one, then one made without a seed
    const others = [await forking.acquire('one', {}), await forking.acquire('two', {})];
    await until(() => forking.status().idle === 1);
    await Promise.all([...others, vm].map((other) => other.end()));
    expect(seed()).not.toBe(before);
    const ended = await forking.acquire('three', {});
    process.kill(ended.pid, 'SIGKILL');
    expect(await ended.ended).toMatchObject({ cause: 'crashed' });
  });
});

/** Files that both processes have open as one (kcmp(2)), by what they are. */
function sharedFiles(one: number, other: number): string[] {
  const script = `
import ctypes, os, sys
libc, (one, other) = ctypes.CDLL(None), map(int, sys.argv[1:])
fds = lambda pid: map(int, os.listdir(f'/proc/{pid}/fd'))
for a in fds(one):
    for b in fds(other):
        if libc.syscall(312, one, other, 0, a, b) == 0: print(os.readlink(f'/proc/{other}/fd/{b}'))`;
  return execFileSync('python3', ['-c', script, `${one}`, `${other}`], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '');
}

describe('disks', () => {
  test('are the VM’s while plugged, the daemon’s again afterwards, and can be plugged anew', async () => {
    const { vm, exited } = await run(sh('echo kept > /file'));
    await exited;
    expect([...vm.pluggedDisks()]).toEqual([
      ['layer', 0],
      ['writable', 1],
    ]);
    await vm.agent.request('container.remove', { id: 'c1', sync: true });
    await vm.agent.request('pod.teardown', {});
    await vm.unplugDisks(['layer', 'writable', 'unknown']);
    expect(vm.pluggedDisks().size).toBe(0);
    const disk = images.writable();
    const [lun] = await vm.plugDisks([
      { id: 'again', hostPath: disk, format: 'raw', readOnly: false, durable: true },
    ]);
    expect(lun).toBe(2); // where no other disk has been
    expect(statSync(disk).uid).toBeGreaterThan(310_000);
    await vm.end();
    expect(statSync(disk).uid).toBe(0);
  });

  test('a disk that is not there plugs nothing, and the VM goes on', async () => {
    const vm = await pool.acquire('pod', {});
    const good = {
      id: 'good',
      hostPath: images.layer,
      format: 'raw',
      readOnly: true,
      durable: false,
    } as const;
    const bad = { ...good, id: 'bad', hostPath: '/nowhere/at/all' };
    await expect(vm.plugDisks([good, bad])).rejects.toThrow(/No such file/);
    expect(vm.pluggedDisks().size).toBe(0);
    await expect(vm.plugDisks([good])).resolves.toEqual([2]);
    await expect(vm.plugDisks([good])).rejects.toMatchObject({ code: 'Conflict' });
  });

  test('grow while in use', async () => {
    const { vm, stdin, output } = await run(sh('read line; df -m / | awk "END {print \\$2}"'));
    const input = vm.agent.openInput(stdin);
    await vm.resizeDisk('writable', 3 * 1024 ** 3);
    expect(await vm.agent.request('container.growDisk', { id: 'c1' })).toEqual({ sizeBytes: 3 * 1024 ** 3 });
    await input.write(Buffer.from('\n'));
    expect(Number(await output.ended)).toBeGreaterThan(2500);
  });
});

describe('a second daemon', () => {
  test('goes on in the middle of a stream, without a byte lost or doubled', async () => {
    const lines = 20_000;
    const { vm, stdout } = await run(
      sh(`i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); done; sleep 600`),
    );
    const expected = Array.from({ length: lines }, (_, index) => `line ${index}\n`).join('');
    // The first daemon has acknowledged some of it, received more, and is gone.
    await pool.close({ endIdle: false });
    let next: PooledVms | undefined;
    let text = '';
    for (let restart = 0; restart < 4; restart += 1) {
      next = await lab.pool();
      const [found] = await recovered(next);
      expect(found).toMatchObject({ id: vm.id, pid: vm.pid, state: { kind: 'Associated', podId: 'pod' } });
      expect([...found!.pluggedDisks().keys()]).toEqual(['layer', 'writable']);
      const { agent } = found!;
      expect(agent.hello.containers).toMatchObject([{ id: 'c1', state: 'running' }]);
      // Opened late, as the engine does: what the guest sends meanwhile is kept.
      await agent.request('container.stats', { id: 'c1' });
      const known = agent.hello.channels.find(({ channel }) => channel === stdout)!;
      // On the first restart nothing is on our disk but what was acknowledged.
      if (restart === 0) text = expected.slice(0, known.outAcked);
      const output = agent.openOutput(stdout, text.length);
      const enough = Math.min(expected.length, text.length + expected.length / 4 + 1);
      await new Promise<void>((resolve) => {
        output.consume({
          onChunk: ({ data, offset }) => {
            expect(offset).toBe(text.length);
            text += data.toString();
            output.ack(text.length);
            if (text.length >= enough) resolve();
          },
          onEnd: () => undefined,
          onLost: () => undefined,
        });
        if (text.length >= enough) resolve(); // more had come before the last one let go
      });
      await next.close({ endIdle: false });
    }
    expect(text).toBe(expected);
    pool = await lab.pool();
    await recovered(pool);
  });

  test('clears away what it finds dead, half-made or hanging', async () => {
    const [dead, hanging] = [await pool.acquire('dead', {}), await pool.acquire('hanging', {})];
    await pool.close({ endIdle: false });
    process.kill(dead.pid, 'SIGKILL');
    process.kill(hanging.pid, 'SIGSTOP');
    const next = await lab.pool();
    expect(await recovered(next)).toEqual([]);
    expect(lab.runDirs()).toEqual([]);
    expect(lab.qemus()).toEqual([]);
    expect(lab.taps()).toEqual([]);
    pool = next;
  });

  test('finds a VM that was never recorded by its name', async () => {
    const vm = await pool.acquire('pod', {});
    await pool.close({ endIdle: false });
    writeFileSync(join(lab.directory, 'run/vms', vm.id, 'vm.json'), '{"torn":');
    pool = await lab.pool();
    expect(await recovered(pool)).toEqual([]);
    expect(lab.qemus()).toEqual([]);
  });

  test('takes idle VMs back into the pool, and paused ones are woken', async () => {
    const first = await lab.pool({ poolSize: 1 });
    first.start();
    await until(() => first.status().idle === 1);
    const paused = await first.acquire('pod', {});
    await until(() => first.status().idle === 1);
    await paused.pause();
    await first.close({ endIdle: false });
    const next = await lab.pool({ poolSize: 1 });
    expect((await recovered(next)).length).toBe(2);
    expect(next.status()).toMatchObject({ idle: 1, associated: 1 });
    await expect(next.find(paused.id)!.agent.request('pod.setup', { pod: podSpec('pod') })).resolves.toEqual(
      {},
    );
    await Promise.all(next.list().map((vm) => vm.end()));
    await next.close({ endIdle: true });
  });
});

/** VMs of an earlier daemon that have answered; none of them is used, by any record. */
async function recovered(next: PooledVms): Promise<Vm[]> {
  const { vms, straysEnded } = await next.recover(() => false);
  await straysEnded;
  return (await Promise.all(vms.map(({ answered }) => answered))).filter((vm) => vm !== undefined);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('the end of a VM', () => {
  test('QEMU is killed: everything that waits is told', async () => {
    const { vm, output } = await run(sh('sleep 600'));
    const waiting = vm.agent.request('container.top', { id: 'c1', psArgs: [] });
    process.kill(vm.pid, 'SIGKILL');
    expect(await vm.ended).toEqual({
      cause: 'crashed',
      message: expect.stringContaining('SIGKILL') as string,
    });
    await waiting.catch((error: unknown) => expect(error).toMatchObject({ code: 'Unavailable' }));
    await expect(output.ended).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(vm.agent.request('shutdown', {})).rejects.toMatchObject({ code: 'Unavailable' });
    expect(lab.runDirs()).toEqual([]);
    await vm.end();
  });

  test('a panic of the guest is one, and its last words are kept', async () => {
    const vm = await pool.acquire('pod', {});
    const [layer = 0, writable = 0] = await vm.plugDisks([
      { id: 'layer', hostPath: images.layer, format: 'raw', readOnly: true, durable: false },
      { id: 'writable', hostPath: images.writable(), format: 'raw', readOnly: false, durable: false },
    ]);
    await vm.agent.request('pod.setup', { pod: podSpec('pod') });
    const container = containerSpec(
      'c1',
      { layers: [layer], writable },
      processSpec(sh('echo c > /proc/sysrq-trigger')),
    );
    const starting = vm.agent.request('container.start', {
      container: {
        ...container,
        privileged: true,
        maskedPaths: [],
        readonlyPaths: [],
        mounts: container.mounts.map((mount) => (mount.type === 'proc' ? { ...mount, options: [] } : mount)),
      },
    });
    starting.catch(() => undefined);
    const end = await vm.ended;
    expect(end.cause).toBe('guest');
    expect(end.message).toBe('the guest ended its VM (kernel panic: sysrq triggered crash)');
    expect(lab.qemus()).toEqual([]);
  });

  test('nobody but the daemon may talk to QEMU: a second connection waits', async () => {
    const vm = await pool.acquire('pod', {});
    const socket = connect(join(lab.directory, 'run/vms', vm.id, 'qmp.sock'));
    await once(socket, 'connect');
    let greeted = false;
    socket.on('data', () => (greeted = true));
    await vm.pause();
    await vm.resume();
    expect(greeted).toBe(false);
    socket.destroy();
  });
});

describe('the template', () => {
  test('is described', async () => {
    const [template] = await describeTemplate(lab.config());
    expect(template).toMatchObject({ intact: true });
    expect(template!.allocatedBytes).toBeLessThan(1024 ** 3);
  });

  test('that someone has written to is made anew', async () => {
    const [template] = await describeTemplate(lab.config());
    const memory = join(lab.directory, 'data/templates', template!.key, 'memory');
    truncateSync(memory, statSync(memory).size);
    const { mtimeMs: writtenTo } = statSync(memory);
    expect(await describeTemplate(lab.config())).toMatchObject([{ intact: false }]);
    const vm = await pool.acquire('pod', {});
    // Not the inode's number: a new file may be given that of the one thrown away.
    expect(statSync(memory).mtimeMs).toBeGreaterThan(writtenTo);
    expect(await describeTemplate(lab.config())).toMatchObject([{ intact: true }]);
    await vm.end();
  });

  test('that can not be loaded is no obstacle: the VM is booted', async () => {
    const [template] = await describeTemplate(lab.config());
    const state = join(lab.directory, 'data/templates', template!.key, 'state');
    const saved = readFileSync(state);
    writeFileSync(state, 'not a state');
    try {
      const vm = await pool.acquire('pod', {});
      await expect(vm.agent.request('pod.setup', { pod: podSpec('pod') })).resolves.toEqual({});
    } finally {
      writeFileSync(state, saved);
    }
    expect(lab.runDirs()).toHaveLength(1);
  });
});

describe('the accelerator', () => {
  test('a KVM that does not work is found out within seconds, and remembered', async () => {
    const config = lab.config({ accelerator: 'auto', dataRoot: join(lab.directory, 'probe') });
    const started = Date.now();
    const answer = await probeAccelerator(config);
    expect(Date.now() - started).toBeLessThan(15_000);
    expect(answer.reason).not.toContain('\n');
    expect(answer.tscKhz).toBeGreaterThan(100_000);
    const again = Date.now();
    expect(await probeAccelerator(config)).toMatchObject(answer);
    expect(Date.now() - again).toBeLessThan(1000); // a probe starts QEMU
    expect(existsSync(join(config.dataRoot, 'templates/probe'))).toBe(false);
  });

  test('is what the user says', async () => {
    const config = lab.config({ accelerator: 'tcg' });
    expect(await probeAccelerator(config)).toMatchObject({ kind: 'tcg', reason: 'chosen by --accel=tcg' });
  });
});

test('a start that is given up leaves nothing', async () => {
  const controller = new AbortController();
  const starting = pool.acquire('pod', {}, controller.signal);
  setTimeout(() => controller.abort(), 40);
  await expect(starting).rejects.toMatchObject({ code: 'Unavailable' });
  expect(lab.runDirs()).toEqual([]);
  expect(lab.qemus()).toEqual([]);
});
