// Containers in a real VM, by the agent's protocol alone: what a process sees, and how it ends.

import type { GuestContainerSpec, GuestProcess } from '../../../src/vm/contract/protocol';
import { AgentRefusal, Guest } from '../../support/guests/guest-harness';
import { containerSpec, podSpec, processSpec, TestImages } from '../../support/guests/guest-specs';

jest.setTimeout(600_000); // what hangs is told earlier, by the VM's own time

const images = new TestImages();
let guest: Guest;
let rootfs: { layers: number[]; writable: number };
let count = 0;

beforeAll(async () => {
  guest = await Guest.start();
  await guest.identify();
  await guest.request('pod.setup', { pod: podSpec('pod', { hostname: 'pod-host', domainname: 'example' }) });
  const [layer, writable] = await guest.plug(
    { file: images.layer, readOnly: true },
    { file: images.writable(), readOnly: false },
  );
  rootfs = { layers: [layer!], writable: writable! };
});

afterAll(async () => {
  await guest.end();
  images.remove();
});

interface Run {
  id: string;
  stdin: number;
  stdout: number;
  stderr: number;
}

/** Starts a container on the one writable disk there is; its layers are always the same. */
async function start(
  args: string[],
  changes: Partial<GuestProcess> = {},
  more: Partial<GuestContainerSpec> = {},
): Promise<Run> {
  const run = { id: `c${count++}`, stdin: guest.channel(), stdout: guest.channel(), stderr: guest.channel() };
  const { stdin, stdout, stderr } = run;
  const streams = changes.terminal === true ? { stdin, stdout } : { stdin, stdout, stderr };
  const spec = containerSpec(run.id, rootfs, processSpec(args, { ...streams, ...changes }), more);
  await guest.request('container.start', { container: spec });
  return run;
}

async function finish(run: Run): Promise<{ code: number; out: string; err: string; oomKilled: boolean }> {
  const { status } = await guest.exit(run.id);
  await guest.request('container.remove', { id: run.id, sync: false });
  return {
    code: status.exitCode,
    out: guest.text(run.stdout),
    err: guest.text(run.stderr),
    oomKilled: status.oomKilled,
  };
}

async function run(...parameters: Parameters<typeof start>): ReturnType<typeof finish> {
  return finish(await start(...parameters));
}

const sh = (script: string): string[] => ['sh', '-c', script];

async function refusal(promise: Promise<unknown>): Promise<{ code: string; phase: string; message: string }> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AgentRefusal)) throw error instanceof Error ? error : new Error('was not refused');
  return error.failure;
}

describe('a process', () => {
  test('a signal that comes before a first process has its trap is not lost', async () => {
    const busy =
      'i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; trap "exit 5" TERM; while :; do sleep 0.1; done';
    const early = await start(sh(busy));
    await guest.request('process.signal', { id: early.id, signal: 15 });
    expect((await finish(early)).code).toBe(5);
  });

  test('its output, separately, and its exit code', async () => {
    expect(await run(sh('echo out; echo err >&2; exit 3'))).toEqual({
      code: 3,
      out: 'out\n',
      err: 'err\n',
      oomKilled: false,
    });
  });

  test('reads its standard input to the end', async () => {
    const cat = await start(['cat']);
    guest.input(cat.stdin, 'one\ntwo\n');
    guest.endInput(cat.stdin);
    expect(await finish(cat)).toMatchObject({ code: 0, out: 'one\ntwo\n' });
  });

  test('a megabyte through stdin and stdout comes back whole', async () => {
    const bytes = Buffer.alloc(1 << 20, 'caisson flow control 0123456789\n');
    const cat = await start(['cat']);
    // The credit is a window's worth; the rest goes as the agent acknowledges. Here: in steps as output returns.
    for (let done = 0; done < bytes.length; done += 131_072) {
      guest.input(cat.stdin, bytes.subarray(done, done + 131_072));
      await guest.until(() => (guest.output.get(cat.stdout)?.length ?? 0) >= done + 131_072, 'echo');
    }
    guest.endInput(cat.stdin);
    const { out } = await finish(cat);
    expect(Buffer.from(out).equals(bytes)).toBe(true);
    expect(guest.violations).toEqual([]);
  });

  test('environment, HOME from passwd, working directory made if missing', async () => {
    const result = await run(sh('pwd; echo $HOME; echo $HOSTNAME; hostname; umask'), { cwd: '/new/place' });
    expect(result.out).toBe('/new/place\n/root\ntest\npod-host\n0022\n');
  });

  test('is the first process of its PID namespace and sees only its own', async () => {
    const { out } = await run(sh('cat /proc/1/comm; echo $$; ls /proc | grep -c "^[0-9]"'));
    expect(out.split('\n').slice(0, 2)).toEqual(['sh', '1']);
    expect(Number(out.split('\n')[2])).toBeLessThan(5);
  });

  test('killed by a signal', async () => {
    const sleep = await start(['sleep', '1000']);
    await guest.request('container.signal', { id: sleep.id, signal: 9, all: false });
    expect((await finish(sleep)).code).toBe(137);
    expect(guest.exitOf(sleep.id)?.status.signal).toBe(9);
    expect(
      await refusal(guest.request('container.signal', { id: sleep.id, signal: 9, all: false })),
    ).toMatchObject({
      code: 'ENOENT',
    });
  });

  test('orphans and zombies are the business of --init', async () => {
    const script = 'cat /proc/1/comm; (sleep 0.05 &) ; sleep 0.3; ps -o stat,comm | grep -c "^Z" ; exit 5';
    expect(await run(sh(script), {}, { init: true })).toMatchObject({ code: 5, out: 'docker-init\n0\n' });
    expect(await run(['nope'], {}, { init: true })).toMatchObject({
      code: 127,
      err: expect.stringMatching(
        /^\[FATAL tini \(\d+\)] exec nope failed: No such file or directory\n$/,
      ) as string,
    });
  });

  test('background children that hold the output do not delay the exit', async () => {
    const container = await start(['sleep', '1000']);
    const [stdout, id] = [guest.channel(), `x${count++}`];
    await guest.request('exec.start', {
      id,
      containerId: container.id,
      process: processSpec(sh('sleep 1000 & echo started'), { stdout }),
    });
    await guest.exit(id, 5_000);
    expect(guest.text(stdout)).toBe('started\n');
    expect(guest.output.get(stdout)?.ended).toBe(true);
    await guest.request('container.signal', { id: container.id, signal: 9, all: false });
    await finish(container);
  });
});

describe('what cannot be run', () => {
  const refused: [string, string[], Partial<GuestProcess>, object][] = [
    [
      'no such command',
      ['nope'],
      {},
      { code: 'ENOENT', phase: 'exec', message: 'exec: "nope": executable file not found in $PATH' },
    ],
    [
      'no such path',
      ['/nope'],
      {},
      { code: 'ENOENT', phase: 'exec', message: 'exec: "/nope": stat /nope: no such file or directory' },
    ],
    [
      'a file that is no program',
      ['/etc/passwd'],
      {},
      { code: 'EACCES', phase: 'exec', message: 'exec: "/etc/passwd": permission denied' },
    ],
    [
      'a directory',
      ['/etc'],
      {},
      { code: 'EACCES', phase: 'exec', message: 'exec: "/etc": permission denied' },
    ],
    ['not executable in PATH', ['notexec'], {}, { code: 'ENOENT', phase: 'exec' }],
    [
      'no such user',
      ['true'],
      { user: 'nobody2' },
      { phase: 'user', message: 'unable to find user nobody2: no matching entries in passwd file' },
    ],
    [
      'no such group',
      ['true'],
      { user: 'bob:nogroup' },
      { phase: 'user', message: 'unable to find group nogroup: no matching entries in group file' },
    ],
    [
      'a user out of range',
      ['true'],
      { user: '99999999999' },
      { phase: 'user', message: 'uids and gids must be in range 0-2147483647' },
    ],
  ];
  test.each(refused)('%s', async (_what, args, changes, failure) => {
    expect(await refusal(run(args, changes))).toMatchObject(failure);
  });

  test('a file without a format starts, says so and exits with 1', async () => {
    expect(await run(['noshebang'])).toMatchObject({
      code: 1,
      err: 'exec /bin/noshebang: exec format error\n',
    });
  });

  test('leaves nothing behind', async () => {
    expect(await run(sh('ls /sys/fs/cgroup >/dev/null; mount | grep -c "^overlay"'))).toMatchObject({
      out: '1\n',
    });
    await guest.drop();
    const hello = await guest.connect();
    expect(hello).toMatchObject({ containers: [], execs: [], identified: true, pod: true });
    expect(hello.channels).toEqual([]);
  });
});

describe('users', () => {
  const ids: [string, string, string[]][] = [
    ['', 'uid=0(root) gid=0(root) groups=0(root)', []],
    ['bob', 'uid=1000(bob) gid=1000(bob) groups=1000(bob),2000(extra)', []],
    ['5:6', 'uid=5 gid=6 groups=6', []],
    ['bob:extra', 'uid=1000(bob) gid=2000(extra) groups=2000(extra)', []],
    [':5', 'uid=0(root) gid=5 groups=5', []],
    ['1000', 'uid=1000(bob) gid=1000(bob) groups=77,1000(bob),2000(extra)', ['77']],
  ];
  test.each(ids)('%s is %s', async (user, output, additionalGroups) => {
    expect((await run(['id'], { user, additionalGroups })).out.trim()).toBe(output);
  });

  test('can open their standard streams again', async () => {
    expect(await run(sh('echo out >/dev/stdout; echo err >/dev/stderr'), { user: 'bob' })).toMatchObject({
      out: 'out\n',
      err: 'err\n',
    });
  });
});

describe('confinement', () => {
  test('capabilities, seccomp, no_new_privs', async () => {
    const script = 'grep -E "^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status';
    const { out } = await run(sh(script), { noNewPrivileges: true });
    const value = (name: string): string | undefined => new RegExp(`${name}:\\s*(\\S+)`).exec(out)?.[1];
    expect(value('CapInh')).toBe('0000000000000000');
    expect(value('CapEff')).toBe('00000000a80425fb');
    expect(value('CapPrm')).toBe('00000000a80425fb');
    expect(value('CapBnd')).toBe('00000000a80425fb');
    expect(value('CapAmb')).toBe('0000000000000000');
    expect(value('NoNewPrivs')).toBe('1');
    expect(value('Seccomp')).toBe('2');
  });

  test('the default filter denies what Docker denies', async () => {
    const result = await run(sh('unshare -m true; mount -t tmpfs none /mnt; chroot / true && echo chroot'));
    expect(result.err).toMatch(/unshare.*Operation not permitted/);
    expect(result.err).toMatch(/mount.*(Operation not permitted|permission denied)/);
    expect(result.out).toBe('chroot\n');
  });

  test('a profile given as JSON', async () => {
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['mkdir', 'mkdirat', 'nosuchcall'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
        { names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_CHOWN'] } },
      ],
    };
    const { out, err } = await run(sh('mkdir /tmp/x; chmod 700 /tmp && echo chmod'), { seccomp: profile });
    expect(err).toMatch(/No space left on device/);
    expect(out).toBe('chmod\n');
    expect(await refusal(run(['true'], { seccomp: { defaultAction: 'NOPE' } }))).toMatchObject({
      phase: 'security',
    });
  });

  test('masked and read-only paths, devices', async () => {
    const script = `
      wc -c </proc/kcore; ls /sys/firmware | wc -l; echo 1 >/proc/sysrq-trigger; echo x >/proc/sys/kernel/domainname
      head -c 4 /dev/zero | wc -c; echo x >/dev/null; mknod /tmp/sda b 8 0 && head -c1 /tmp/sda; ls -1 /dev | tr '\\n' ' '`;
    const { out, err } = await run(sh(script));
    expect(out).toBe(
      '0\n0\n4\nfd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ',
    );
    expect(err).toMatch(/sysrq-trigger: Read-only file system/);
    expect(err).toMatch(/domainname: Read-only file system/);
    expect(err).toMatch(/sda: Operation not permitted/);
  });

  test('only loopback without a network', async () => {
    expect((await run(sh('ls /sys/class/net; ip -o addr | grep -c 127.0.0.1'))).out).toBe('lo\n1\n');
  });

  test('privileged sees the VM', async () => {
    const privileged: Partial<GuestContainerSpec> = {
      privileged: true,
      maskedPaths: [],
      readonlyPaths: [],
      mounts: containerSpec('x', rootfs, processSpec([])).mounts.map((mount) => ({
        ...mount,
        options: mount.options.filter((option) => option !== 'ro'),
      })),
    };
    const capabilities = ['CAP_SYS_ADMIN', 'CAP_MKNOD', 'CAP_DAC_OVERRIDE', 'CAP_CHOWN'];
    const script =
      'test -b /dev/sda && echo disk; test -w /proc/sysrq-trigger && echo sysrq; mount -t tmpfs none /tmp && echo mount; ls /dev | grep -c vport; mkdir /sys/fs/cgroup/x && echo cgroup';
    expect(await run(sh(script), { capabilities, seccomp: 'unconfined' }, privileged)).toMatchObject({
      out: 'disk\nsysrq\nmount\n0\ncgroup\n',
      err: '',
    });
  });

  test('limits of block I/O are on each of its disks', async () => {
    const blockIo = { 'io.max': 'rbps=1048576 wiops=77' };
    const { out } = await run(sh('cut -d" " -f2- /sys/fs/cgroup/io.max'), {}, { blockIo });
    expect(out).toBe('rbps=1048576 wbps=max riops=max wiops=77\n'.repeat(2));
  });

  test('an engine in a privileged one has a place that overlayfs can lie on, which stays', async () => {
    await run(sh('mkdir -p /usr/bin; touch /usr/bin/dockerd'));
    const capabilities = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE', 'CAP_NET_ADMIN'];
    const unconfined: Partial<GuestProcess> = { capabilities, seccomp: 'unconfined' };
    const script =
      'cd /var/lib/docker && mkdir -p l u w m && touch l/lower && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m && ls m; ip link add br0 type bridge && ls /sys/class/net | grep br0; ip link del br0';
    expect(await run(sh(script), unconfined, { privileged: true, readonlyPaths: [] })).toMatchObject({
      out: 'lower\nbr0\n',
    });
    expect((await run(sh('ls /var/lib/docker'), unconfined, { privileged: true })).out).toBe('l\nm\nu\nw\n');
    expect((await run(sh('ls /var/lib/docker'))).out).toBe('');
  });

  test('read-only root, read-only files, limits on processes and descriptors', async () => {
    const file = { contentBase64: Buffer.from('given\n').toString('base64'), mode: 0o644, readonly: true };
    const { out, err } = await run(
      sh('touch /x; cat /etc/given; echo >/etc/given; ulimit -n; cat /proc/self/oom_score_adj'),
      { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 77, hard: 99 }], oomScoreAdj: 321 },
      {
        rootfs: { ...containerSpec('x', rootfs, processSpec([])).rootfs, readonly: true },
        files: [{ path: '/etc/given', ...file }],
      },
    );
    expect(out).toBe('given\n77\n321\n');
    expect(err.match(/Read-only file system/g)).toHaveLength(2);
  });
});

describe('cgroup', () => {
  test('a memory hog is killed and the exit says why', async () => {
    // One process: of two, the other can be kept alive for long by reading its own code again and again.
    const result = await run(
      ['tail', '/dev/zero'],
      {},
      { cgroup: { 'memory.max': '33554432', 'memory.swap.max': '0' } },
    );
    expect(result.oomKilled).toBe(true);
  });

  test('a fork bomb is held by pids.max, and freezing and killing work', async () => {
    const bomb = await start(sh('while true; do sleep 100 & done'), {}, { cgroup: { 'pids.max': '30' } });
    await guest.request('container.freeze', { id: bomb.id, frozen: true });
    const stats = await guest.request('container.stats', { id: bomb.id });
    expect(stats.pids.limit).toBe(30);
    expect(stats.pids.current).toBeLessThanOrEqual(30);
    await guest.request('container.freeze', { id: bomb.id, frozen: false });
    await guest.request('container.update', { id: bomb.id, cgroup: { 'pids.max': '40' } });
    await guest.request('container.signal', { id: bomb.id, signal: 9, all: true });
    expect((await finish(bomb)).code).toBe(137);
  });

  test('stats and top', async () => {
    const sleep = await start(['sleep', '1000']);
    const stats = await guest.request('container.stats', { id: sleep.id });
    expect(stats.memory.usageBytes).toBeGreaterThan(0);
    expect(stats.memory.stat['anon']).toBeGreaterThanOrEqual(0);
    expect(stats.onlineCpus).toBe(2);
    // both of one clock: what a limited container shows never gets beyond its limit, however many ticks a guest misses
    const later = await guest.request('container.stats', { id: sleep.id });
    expect(later.cpu.usageUsec - stats.cpu.usageUsec).toBeLessThanOrEqual(later.vmUsec - stats.vmUsec);
    expect(stats.disk.totalBytes).toBeGreaterThan(900 << 20);
    expect(stats.networks).toEqual({});
    const top = await guest.request('container.top', { id: sleep.id, psArgs: ['-ef'] });
    expect(top.output).toMatch(/^UID +PID +PPID +C +STIME +TTY +TIME +CMD\n/);
    expect(top.output).toMatch(/^root +(\d+) .* sleep 1000$/m);
    expect(top.pids).toHaveLength(1);
    expect(top.output).toContain(String(top.pids[0]));
    expect(
      (await refusal(guest.request('container.top', { id: sleep.id, psArgs: ['--nope'] }))).message,
    ).toMatch(/unknown/);
    await guest.request('container.signal', { id: sleep.id, signal: 9, all: false });
    await finish(sleep);
  });
});

describe('terminal', () => {
  test('controlling terminal, size before and after, ctrl-C', async () => {
    const shell = await start(
      sh(
        'trap "echo interrupted; exit 7" INT; tty; stty size; read line; stty size; echo got $line; while :; do sleep 0.05; done',
      ),
      {
        terminal: true,
        consoleSize: { rows: 11, columns: 22 },
      },
    );
    await guest.until(() => guest.text(shell.stdout).includes('11 22'), 'first size');
    await guest.request('process.resize', { id: shell.id, rows: 33, columns: 44 });
    guest.input(shell.stdin, 'hello\n');
    await guest.until(() => guest.text(shell.stdout).includes('got hello'), 'echo');
    expect(guest.text(shell.stdout)).toContain('/dev/pts/0');
    expect(guest.text(shell.stdout)).toContain('33 44');
    guest.input(shell.stdin, '\x03');
    const { code, out } = await finish(shell);
    expect(code).toBe(7);
    expect(out).toContain('interrupted');
  });
});

describe('exec', () => {
  test('joins the container, with a terminal, with its own user, and reports failures', async () => {
    const container = await start(['sleep', '1000']);
    const exec = async (
      args: string[],
      changes: Partial<GuestProcess> = {},
    ): Promise<{ code: number; out: string }> => {
      const [stdout, id] = [guest.channel(), `x${count++}`];
      await guest.request('exec.start', {
        id,
        containerId: container.id,
        process: processSpec(args, { stdout, ...changes }),
      });
      const { status } = await guest.exit(id);
      return { code: status.exitCode, out: guest.text(stdout) };
    };
    expect(
      await exec(sh('cat /proc/1/comm; hostname; id -u; cat /proc/self/cgroup; exit 4'), { user: 'bob' }),
    ).toEqual({
      code: 4,
      out: 'sleep\npod-host\n1000\n0::/\n',
    });
    expect((await exec(['tty'], { terminal: true })).out).toBe('/dev/pts/0\r\n');
    expect(await refusal(exec(['nope']))).toMatchObject({ code: 'ENOENT', phase: 'exec' });
    expect(await refusal(exec(['true'], { cwd: '/nope' }))).toMatchObject({
      phase: 'exec',
      message: 'chdir to cwd ("/nope") set in config.json failed: no such file or directory',
    });
    expect(
      await refusal(
        guest.request('exec.start', { id: 'y', containerId: 'none', process: processSpec(['true']) }),
      ),
    ).toMatchObject({ code: 'ENOENT' });
    await guest.request('container.signal', { id: container.id, signal: 15, all: false });
    await guest.request('container.signal', { id: container.id, signal: 9, all: false });
    await finish(container);
  });

  test('dies with the container', async () => {
    const container = await start(['sleep', '1000']);
    await guest.request('exec.start', {
      id: 'dying',
      containerId: container.id,
      process: processSpec(['sleep', '1000']),
    });
    await guest.request('container.signal', { id: container.id, signal: 9, all: false });
    expect((await guest.exit('dying')).status.exitCode).toBe(137);
    await finish(container);
  });
});

describe('disks', () => {
  test('are waited for', async () => {
    const stdout = guest.channel();
    // The next LUN, not there yet.
    const spec = containerSpec(
      'early',
      { layers: [rootfs.layers[0]!, 2], writable: 3 },
      processSpec(['echo', 'here'], { stdout }),
    );
    const started = guest.request('container.start', { container: spec });
    const late = { file: images.layer, readOnly: true };
    expect(await guest.plug(late, { file: images.writable(), readOnly: false })).toEqual([2, 3]);
    await started;
    await guest.exit('early');
    expect(guest.text(stdout)).toBe('here\n');
    await guest.request('container.remove', { id: 'early', sync: true });
  });

  test("that hold something else are refused, with the kernel's reason", async () => {
    const swapped = { layers: [rootfs.writable], writable: rootfs.layers[0]! };
    const spec = containerSpec('swapped', swapped, processSpec(['true']));
    const { message } = await refusal(guest.request('container.start', { container: spec }));
    expect(message).toMatch(
      /^mount \/dev\/sd. \(LUN 1\) as squashfs; .*squashfs.*superblock.* on sd.*: Invalid/i,
    );
  });

  test('what Docker adds lies in a layer of its own', async () => {
    const { out, err } = await run(
      sh('ls -a / | grep docker; readlink /etc/mtab; stat -c "%a %u" /etc /; cat /etc/hosts'),
    );
    expect({ out, err }).toEqual({
      out: '.dockerenv\n/proc/mounts\n755 0\n755 0\n127.0.0.1\tlocalhost\n',
      err: '',
    });
  });

  test('what was written stays for the next start, and the disk grows', async () => {
    await run(sh('echo kept >/kept; rm /bin/tac'));
    expect((await run(sh('cat /kept; test -e /bin/tac || echo gone'))).out).toBe('kept\ngone\n');
    const sleep = await start(['sleep', '1000']);
    const lun = rootfs.writable;
    await guest.qmp({ execute: 'block_resize', arguments: { 'node-name': `d${lun}`, size: 3 * 1024 ** 3 } });
    await guest.until(() => true, 'resize');
    let size = 0;
    for (let attempt = 0; attempt < 50 && size !== 3 * 1024 ** 3; attempt++)
      ({ sizeBytes: size } = await guest.request('container.growDisk', { id: sleep.id }));
    expect(size).toBe(3 * 1024 ** 3);
    expect((await guest.request('container.stats', { id: sleep.id })).disk.totalBytes).toBeGreaterThan(
      2.8 * 1024 ** 3,
    );
    await guest.request('container.signal', { id: sleep.id, signal: 9, all: false });
    await finish(sleep);
  });

  test('a file of the container is replaced in place', async () => {
    const container = await start(sh('while ! grep -q new /etc/hosts; do sleep 0.05; done; cat /etc/hosts'));
    await guest.request('container.file', {
      id: container.id,
      path: '/etc/hosts',
      contentBase64: Buffer.from('new\n').toString('base64'),
    });
    expect((await finish(container)).out).toBe('new\n');
  });
});
