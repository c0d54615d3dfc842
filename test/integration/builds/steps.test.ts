// Steps of graphs in VMs, as a client of BuildKit's interface sees them; and that nothing of them is left.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { BuildClient, outputOf } from '../../support/buildkit/build-client';
import { fakeFile } from '../../support/buildkit/fake-client';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { directoryHolds } from '../../support/process/directory-holds';
import { projectDir } from '../../support/process/project-dir';
import { definitionOf, image, local, op, run, type Graph } from '../../unit/buildkit/solver/fake-host';
import type { StatusResponse } from '../../../src/buildkit/messages/control';
import { cacheSharing, mountType, networkMode, securityMode } from '../../../src/buildkit/messages/ops';

const engine = useBusyboxDaemon('steps');
const busybox = image('busybox:latest');
/** Each starts VMs; on a busy host, where they are emulated, one takes a minute. */
const slow = 900_000;

let client: BuildClient;
beforeAll(async () => {
  client = await BuildClient.connect(engine.daemon.host);
});
afterAll(() => client.close());

/** What the result's command writes. */
async function outputFrom(graph: Graph, entitlements: string[] = []): Promise<string> {
  return (await client.build(definitionOf(graph), { entitlements })).output;
}

const loaded = (graph: Graph, name: string): Promise<unknown> =>
  client.build(definitionOf(graph), { exporters: [{ Type: 'moby', Attrs: [['name', name]] }] });

/** Files of the host that steps have: disks, records. */
function disksLeft(): string[] {
  return readdirSync(join(engine.daemon.dir, 'data', 'disks')).filter((name) => !name.startsWith('blank'));
}

async function nothingIsLeft(): Promise<void> {
  const left = (): unknown[] => [
    ...engine.daemon.qemuPids(),
    ...disksLeft(),
    ...Object.keys(bridgeContainers()),
  ];
  const until = Date.now() + slow / 4;
  while (left().length > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 100));
  expect(left()).toEqual([]);
}

function bridgeContainers(): object {
  return JSON.parse(
    engine.docker('network', 'inspect', 'bridge', '--format', '{{json .Containers}}'),
  ) as object;
}

test(
  'steps follow each other in one VM; what they change is an image, and of mount points nothing is left',
  async () => {
    const first = run(
      busybox,
      'echo one > /one; cat /proc/sys/kernel/random/boot_id; rm /bin/vi; mkdir /d; hostname',
    );
    const second = run(
      first,
      'cat /one /proc/sys/kernel/random/boot_id; test ! -e /bin/vi; ls -d /.dockerenv',
      {
        mounts: [{ input: -1, dest: '/made/for/this', output: -1, mountType: mountType.tmpfs }],
        meta: { validExitCodes: [1] },
      },
    );
    const { output } = await client.build(definitionOf(second), {
      exporters: [{ Type: 'moby', Attrs: [['name', 'steps:latest']] }],
    });
    const [boot, hostname, one, sameBoot] = output.split('\n');
    expect({ hostname, one }).toEqual({ hostname: 'buildkitsandbox', one: 'one' });
    expect(sameBoot).toBe(boot);
    expect(
      engine.docker(
        'run',
        '--rm',
        'steps:latest',
        'sh',
        '-c',
        'cat /one; ls -d /d /made/for /bin/vi 2>&1; true',
      ),
    ).toBe('one\nls: /bin/vi: No such file or directory\n/d\n/made/for');
    await nothingIsLeft();
  },
  slow,
);

test(
  'steps of one VM have the network and the name that each asks for, and nothing of each other',
  async () => {
    const say = [
      'cat /proc/sys/kernel/random/boot_id; hostname; ip -o link | wc -l; ls /dev/shm; ps | grep -c " [s]leep 1000$"; touch /dev/shm/x',
      '(sleep 1000 &)',
    ].join('; ');
    const first = run(busybox, say, { meta: { hostname: 'named' } });
    const second = run(first, `: second; ${say}`, { exec: { network: networkMode.none } });
    const third = run(second, `: third; ${say}`, { exec: { network: networkMode.host } });
    const { output } = await client.build(definitionOf(third), { entitlements: ['network.host'] });
    const [boot = '', ...said] = output.split('\n');
    const of = (name: string, links: number): string[] => [name, String(links), '0'];
    expect(said).toEqual([
      ...of('named', 2),
      ...[boot, ...of('buildkitsandbox', 1)],
      ...[boot, ...of('buildkitsandbox', 2)],
      '',
    ]);
    await nothingIsLeft();
  },
  slow,
);

test(
  'mounts: layers to read, to change and to keep, parts of them, memory',
  async () => {
    const source = run(
      busybox,
      'mkdir -p /src/sub; echo deep > /src/sub/f; echo flat > /src/g; chmod 750 /src/sub',
    );
    const command = [
      'cat /in/sub/f /file',
      'touch /in/x 2>/dev/null || echo refused',
      'stat -c %a /in/sub',
      'echo made > /out/made',
      'echo lost > /rw/lost; cat /rw/src/g',
      'df /memory | grep -o tmpfs',
      'ls /out2',
    ].join('; ');
    const inputs = [source];
    const step = run(busybox, command, {
      inputs,
      mounts: [
        { input: 1, selector: '/src', dest: '/in', output: -1, readonly: true },
        { input: 1, selector: '/src/g', dest: '/file', output: -1, readonly: true },
        { input: 1, dest: '/rw', output: -1 },
        { input: -1, dest: '/out', output: 1 },
        { input: -1, dest: '/out2', output: 2 },
        { input: -1, dest: '/memory', output: -1, mountType: mountType.tmpfs, TmpfsOpt: { size: 4096 * 16 } },
      ],
    });
    const kept: Graph = { ...step, index: 1 };
    const reader = run(busybox, 'ls /kept; cat /kept/made; ls /rw 2>&1; true', {
      inputs: [kept, source],
      mounts: [
        { input: 1, dest: '/kept', output: -1 },
        { input: 2, dest: '/again', output: -1 },
      ],
    });
    const { output } = await client.build(definitionOf(reader));
    expect(output.split('\n')).toEqual([
      ...['deep', 'flat', 'refused', '750', 'flat', 'tmpfs'],
      ...['made', 'made', 'ls: /rw: No such file or directory', ''],
    ]);
    await nothingIsLeft();
  },
  slow,
);

test(
  'a cache is a disk that stays: filled once, one step at a time, a part of it is mounted',
  async () => {
    const begin = run(busybox, 'mkdir -m 700 /begin; echo first > /begin/f; echo other > /beside');
    const cached = (command: string, unique: string, exec = {}): Graph =>
      run(busybox, `: ${unique}; ${command}`, {
        inputs: [begin],
        exec,
        mounts: [
          {
            ...{ input: 1, selector: '/begin', dest: '/cache', output: -1, mountType: mountType.cache },
            cacheOpt: { ID: 'kept', sharing: cacheSharing.shared },
          },
        ],
      });
    expect(
      await outputFrom(cached('cat /cache/f; stat -c %a /cache; ls /cache; echo more > /cache/g', 'a')),
    ).toBe('first\n700\nf\n');
    expect(await outputFrom(cached('cat /cache/f /cache/g; rm /cache/f', 'b'))).toBe('first\nmore\n');
    // one that is given up has what was written to it
    const abort = new AbortController();
    const status: StatusResponse[] = [];
    const given = client.build(
      definitionOf(cached('echo kept > /cache/h; echo written; sleep 1000', 'c')),
      { signal: abort.signal },
      status,
    );
    given.catch(() => undefined);
    await output(status, 'written');
    abort.abort();
    await expect(given).rejects.toThrow();
    expect(await outputFrom(cached('ls /cache; cat /cache/h', 'd'))).toBe('g\nh\nkept\n');
    // and one whose VM ends with it
    client.served.secrets.set('any', Buffer.from('hush'));
    const secretenv = [{ ID: 'any', name: 'ANY' }];
    await outputFrom(cached('echo "$ANY" | wc -c > /cache/i', 'e', { secretenv }));
    expect(await outputFrom(cached('cat /cache/i', 'f'))).toBe('5\n');
    await nothingIsLeft();
  },
  slow,
);

test(
  'steps of one build that share a cache run at the same time, and each sees what the other writes',
  async () => {
    const cache = {
      ...{ dest: '/cache', output: -1, mountType: mountType.cache },
      cacheOpt: { ID: 'met', sharing: cacheSharing.shared },
    };
    const begin = run(busybox, 'echo begun > /f');
    const meet = (own: string, other: string): Graph =>
      run(busybox, `cat /cache/f; touch /cache/${own}; while [ ! -e /cache/${other} ]; do sleep 0.1; done`, {
        inputs: [begin],
        mounts: [{ input: 1, ...cache }],
      });
    const both = run(busybox, 'cd /cache; ls one two', {
      inputs: [meet('one', 'two'), meet('two', 'one'), begin],
      mounts: [
        { input: 1, dest: '/1', output: -1 },
        { input: 2, dest: '/2', output: -1 },
        { input: 3, ...cache },
      ],
    });
    expect(await outputFrom(both)).toBe('begun\nbegun\none\ntwo\n');
    await nothingIsLeft();
  },
  slow,
);

/** Waits until the steps have written it. */
async function output(status: readonly StatusResponse[], text: string): Promise<void> {
  const until = Date.now() + slow / 2;
  while (!outputOf(status).includes(text)) {
    if (Date.now() > until) throw new Error(`no ${text} in ${outputOf(status)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test(
  'secrets and agents are in the step, which has a VM of its own, and nowhere else',
  async () => {
    const secret = `hush-${'0123456789abcdef'.repeat(4)}`;
    client.served.secrets.set('file', Buffer.from(secret));
    client.served.secrets.set('env', Buffer.from(`${secret}-in-env`));
    const program = join(engine.dir, 'client');
    const source = join(projectDir, 'guest/test/programs/socket-client.c');
    execFileSync('gcc', ['-static', '-O1', '-o', program, source]);
    client.served.directories.set('context', [fakeFile('client', readFileSync(program), { mode: 0o755 })]);
    const before = run(busybox, 'cat /proc/sys/kernel/random/boot_id');
    const step = run(
      before,
      [
        'cat /proc/sys/kernel/random/boot_id',
        'stat -c "%a %u:%g" /run/secrets/file; md5sum < /run/secrets/file; printf %s "$SECRET" | md5sum',
        '/client/client /agent.sock question; stat -c " %a" /agent.sock',
      ].join('; '),
      {
        inputs: [local('context')],
        mounts: [
          { input: 1, dest: '/client', output: -1, readonly: true },
          {
            ...{ input: -1, dest: '/run/secrets/file', output: -1, mountType: mountType.secret },
            secretOpt: { ID: 'file', uid: 12, gid: 34, mode: 0o440 },
          },
          {
            ...{ input: -1, dest: '/agent.sock', output: -1, mountType: mountType.ssh },
            SSHOpt: { ID: 'default', mode: 0o600 },
          },
        ],
        exec: { secretenv: [{ ID: 'env', name: 'SECRET' }] },
      },
    );
    const { output } = await client.build(definitionOf(step), {
      exporters: [{ Type: 'moby', Attrs: [['name', 'secretive']] }],
    });
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
    const [boot, otherBoot, ...said] = output.split('\n');
    expect(otherBoot).not.toBe(boot);
    expect(said).toEqual([
      ...['440 12:34', `${md5(secret)}  -`, `${md5(`${secret}-in-env`)}  -`, 'agent: question 600', ''],
    ]);
    const left = 'find /run /agent.sock /client 2>/dev/null; true';
    expect(engine.docker('run', '--rm', 'secretive', 'sh', '-c', left)).toBe('/run\n/run/secrets');
    // it is found in what comes after a hole
    const disk = join(engine.daemon.dir, 'disk');
    writeFileSync(disk, '');
    truncateSync(disk, 2 ** 33);
    appendFileSync(disk, `${secret}-in-disk`);
    expect(directoryHolds(engine.daemon.dir, `${secret}-in-disk`)).toBe(true);
    rmSync(disk);
    // not even as base64, in which it goes to the VM
    for (const text of [secret, Buffer.from(secret).toString('base64').slice(0, 40)])
      expect(directoryHolds(engine.daemon.dir, text)).toBe(false);
    await nothingIsLeft();
  },
  slow,
);

test(
  'what a hostile step leaves in its VM and in a cache leads the next one nowhere',
  async () => {
    const begin = run(busybox, 'mkdir /etc/kept; cat /proc/sys/kernel/random/boot_id');
    const cached = (selector: string, dest: string): object => ({
      ...{ input: -1, selector, dest, output: -1, mountType: mountType.cache },
      cacheOpt: { ID: 'hostile', sharing: cacheSharing.shared },
    });
    const step = (before: Graph, command: string, mounts: object[], more: object = {}): Graph =>
      run(before, command, { inputs: [busybox], mounts, ...more });
    const tries = [
      'for f in kernel/hostname kernel/core_pattern net/ipv4/ip_forward vm/drop_caches; do echo 1 >/proc/sys/$f; done',
      'echo b >/proc/sysrq-trigger; echo 0 >/proc/self/oom_score_adj; mount -t tmpfs none /mnt; ip link set eth0 down',
      'mknod /n b 8 0; head -c 1 /n; mknod /m c 1 1; head -c 1 /m; date -s 2001-01-01 >/dev/null; echo 1 >/sys/fs/cgroup/cgroup.procs',
    ].join('; ');
    const leaves = [
      'touch /dev/mqueue/q /dev/shm/s',
      'ln -s / /c/root; ln -s /etc/passwd /c/file; ln -s ../../../.. /c/up',
      '(trap "" TERM HUP; nc -ll -p 99 -e echo hostile) & (exec sleep 1000) &',
      'while ! nc 127.0.0.1 99 </dev/null | grep hostile; do sleep 0.1; done',
    ].join('\n');
    const hostile = step(begin, `( ${tries} ) 2>/dev/null\n${leaves}`, [cached('', '/c')]);
    const next = step(
      hostile,
      'cat /proc/sys/kernel/random/boot_id; ls /dev/mqueue /dev/shm; nc 127.0.0.1 99 </dev/null 2>/dev/null || echo nobody; ps | grep -c [s]leep; ls /root-of /up; ip link show eth0 | grep -c ,UP; hostname; date +%Y | grep -c 2001; true',
      [cached('/root', '/root-of'), cached('/up', '/up')],
    );
    const secret = `hostile-${'fedcba9876543210'.repeat(4)}`;
    client.served.secrets.set('hostile', Buffer.from(secret));
    const alone = step(
      next,
      'md5sum </s; ls /c; echo no >/c/root/s',
      [
        cached('', '/c'),
        {
          ...{ input: -1, dest: '/c/root/s', output: -1, mountType: mountType.secret },
          secretOpt: { ID: 'hostile', mode: 0o400 },
        },
      ],
      { meta: { validExitCodes: [1] } },
    );
    const { output } = await client.build(definitionOf(alone));
    const [boot, ...said] = output.split('\n').filter((line) => !line.startsWith('/bin/sh'));
    const listed = ['file', 'root', 'up'];
    expect(said).toEqual([
      ...['hostile', boot, '/dev/mqueue:', '', '/dev/shm:', 'nobody', '0'],
      ...['/root-of:', ...listed, '', '/up:', ...listed, '1', 'buildkitsandbox', '0'],
      ...[`${createHash('md5').update(secret).digest('hex')}  -`, ...listed, ''],
    ]);
    await expect(outputFrom(step(begin, 'true', [cached('/file', '/passwd')]))).rejects.toThrow();
    for (const text of [secret, Buffer.from(secret).toString('base64').slice(0, 40)])
      expect(directoryHolds(engine.daemon.dir, text)).toBe(false);
    await nothingIsLeft();
  },
  slow,
);

test(
  'networks, privilege, user, directory, limits and failures',
  async () => {
    const say = (command: string, more: Parameters<typeof run>[2] = {}): Graph => run(busybox, command, more);
    const links = "ip -o link | cut -d: -f2 | tr -d ' \\n'";
    expect(await outputFrom(say(links, { exec: { network: networkMode.none } }))).toBe('lo');
    expect(await outputFrom(say(`${links}; grep -c nameserver /etc/resolv.conf`))).toMatch(
      /^loeth0[^\n]*\d\n$/,
    );
    expect(await outputFrom(say(links, { exec: { network: networkMode.host } }), ['network.host'])).toContain(
      'eth0',
    );
    const privileged = say('mount -t tmpfs none /tmp && grep CapEff /proc/self/status', {
      exec: { security: securityMode.insecure },
    });
    expect(await outputFrom(privileged, ['security.insecure'])).toMatch(/CapEff:\t0*1ff/);
    await expect(outputFrom(privileged)).rejects.toThrow('security.insecure is not allowed');
    const meta = {
      ...{ user: 'user:audio', cwd: '/made/here', hostname: 'named', env: ['A=b', 'PATH=/bin'] },
      extraHosts: [{ Host: 'far', IP: '10.1.2.3' }],
      ulimit: [{ Name: 'nofile', Soft: 77, Hard: 88 }],
    };
    expect(
      await outputFrom(
        say('id -u; id -g; pwd; hostname; echo $A $PATH; ulimit -n; cat /etc/hosts', { meta }),
      ),
    ).toBe(
      '1000\n29\n/made/here\nnamed\nb /bin\n77\n127.0.0.1\tlocalhost named\n' +
        '::1\tlocalhost ip6-localhost ip6-loopback\n10.1.2.3\tfar\n',
    );
    await expect(outputFrom(say('exit 7'))).rejects.toThrow(
      'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7',
    );
    const missing = op(
      {
        kind: 'exec',
        value: { meta: { args: ['/nowhere'], cwd: '/' }, mounts: [{ input: 0, dest: '/', output: 0 }] },
      },
      [busybox],
    );
    const status: StatusResponse[] = [];
    await expect(client.build(definitionOf(missing), {}, status)).rejects.toThrow(
      'did not complete successfully',
    );
    expect(outputOf(status)).toContain('exec: "/nowhere": stat /nowhere: no such file or directory');
    await nothingIsLeft();
  },
  slow,
);

test(
  'branches run in VMs beside each other, builds never share one, and who gives up leaves nothing',
  async () => {
    const boot = 'cat /proc/sys/kernel/random/boot_id';
    const branches = ['a', 'b'].map((name) => run(busybox, `: ${name}; ${boot}; sleep 2`));
    const both = run(busybox, 'true', {
      inputs: branches,
      mounts: [
        { input: 1, dest: '/a', output: -1 },
        { input: 2, dest: '/b', output: -1 },
      ],
    });
    const other = await client.another();
    const [{ output: ids }, { output: id }] = await Promise.all([
      client.build(definitionOf(both)),
      other.build(definitionOf(run(busybox, `: c; ${boot}`))),
    ]);
    expect(new Set(`${ids}${id}`.trim().split('\n')).size).toBe(3);
    other.close();
    // at a moment of each kind: before there is a VM, while the process runs, when it is over
    for (const [index, waitsFor] of ['', 'running', ''].entries()) {
      const leaving = await client.another();
      const status: StatusResponse[] = [];
      const building = leaving.build(
        definitionOf(run(busybox, `: ${index}; echo running; sleep 1000`)),
        {},
        status,
      );
      building.catch(() => undefined);
      if (waitsFor !== '') await output(status, waitsFor);
      leaving.close();
      await expect(building).rejects.toThrow();
    }
    await nothingIsLeft();
  },
  slow,
);

test(
  'of a daemon that is killed in the midst of a step, the next one leaves nothing',
  async () => {
    await loaded(run(busybox, 'echo before > /before'), 'survives');
    const status: StatusResponse[] = [];
    const building = client.build(definitionOf(run(busybox, 'echo running; sleep 1000')), {}, status);
    building.catch(() => undefined);
    await output(status, 'running');
    await engine.daemon.kill9();
    await expect(building).rejects.toThrow();
    await engine.daemon.start();
    await nothingIsLeft();
    client = await BuildClient.connect(engine.daemon.host);
    expect(await outputFrom(run(run(busybox, 'echo before > /before'), 'cat /before'))).toBe('before\n');
  },
  slow,
);
