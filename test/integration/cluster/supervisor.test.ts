// The supervisor of a Pod, as a daemon uses it, in namespaces of this machine.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

import { openTunnel } from '../../../src/cluster/networks/open-tunnel';
import type { StartRequest } from '../../../src/cluster/supervisor/protocol';
import type { LogEvent } from '../../../src/cluster/supervisor/records';
import type { Following, RunningProcess } from '../../../src/cluster/supervisor/supervisor';
import { TarParser } from '../../../src/storage/tar/tar-parser';
import type { GuestProcess } from '../../../src/vm/contract/protocol';
import { startLocalSupervisor, type LocalSupervisor } from '../../support/cluster/local-supervisor';

let local: LocalSupervisor;
beforeEach(async () => {
  local = await startLocalSupervisor();
});
afterEach(() => local.end());

const path = 'PATH=/bin';
function shell(script: string, more: Partial<GuestProcess> = {}): GuestProcess {
  return {
    args: ['sh', '-c', script],
    env: [path],
    cwd: '/',
    user: '',
    additionalGroups: [],
    terminal: false,
    capabilities: ['CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN'],
    noNewPrivileges: false,
    rlimits: [],
    oomScoreAdj: 0,
    seccomp: 'unconfined',
    ...more,
  };
}

function start(
  script: string,
  more: Partial<GuestProcess> = {},
  rest: Partial<StartRequest> = {},
  { supervisor } = local,
): Promise<Following> {
  return supervisor.start(
    {
      process: shell(script, more),
      openStdin: false,
      isFirst: true,
      log: { maxBytes: 0, maxFiles: 0, lineBytes: 0 },
      ...rest,
    },
    { holds: true },
  );
}

/** Until the run has ended. */
async function untilExit({ batches, close }: Following): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for await (const batch of batches) {
    events.push(...batch.events);
    if (batch.events.at(-1)?.kind === 'exited') break;
  }
  close();
  return events;
}

function text(events: readonly LogEvent[], stream: 'stdout' | 'stderr' = 'stdout'): string {
  return Buffer.concat(
    events.flatMap((event) => (event.kind === 'output' && event.stream === stream ? [event.data] : [])),
  ).toString();
}

async function outputOf(running: RunningProcess): Promise<{ stdout: string; stderr: string; code: number }> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, data } of running.output) chunks[stream].push(data);
  const { code } = await running.exit;
  return {
    stdout: Buffer.concat(chunks.stdout).toString(),
    stderr: Buffer.concat(chunks.stderr).toString(),
    code,
  };
}

function exec(script: string, more: Partial<GuestProcess> = {}, detach = false): Promise<RunningProcess> {
  return local.supervisor.exec({
    id: `e${String(Math.random()).slice(2)}`,
    process: shell(script, more),
    stdin: true,
    stdout: true,
    stderr: true,
    detach,
  });
}

test('a command: both streams apart, its code, and again', async () => {
  expect(await local.supervisor.state()).toMatchObject({ state: 'never', run: 0 });
  const events = await untilExit(await start('echo out; echo err >&2; printf begun; exit 3'));
  expect(events.map(({ kind }) => kind)).toEqual([
    'started',
    ...events.slice(1, -1).map(() => 'output'),
    'exited',
  ]);
  expect(text(events)).toBe('out\nbegun');
  expect(text(events, 'stderr')).toBe('err\n');
  expect(events.at(-1)).toMatchObject({ run: 1, code: 3, oom: false, signal: 0 });
  expect(await local.supervisor.state()).toMatchObject({ state: 'exited', run: 1, code: 3 });
  const again = await untilExit(await start('echo twice'));
  expect(text(again)).toBe('twice\n');
  expect(again.at(-1)).toMatchObject({ run: 2, code: 0 });
});

test('who comes back where it was loses and doubles nothing', async () => {
  const first = await start('i=0; while test $i -lt 300; do echo line $i; i=$((i+1)); done');
  const events: LogEvent[] = [];
  for await (const batch of first.batches) {
    events.push(...batch.events);
    break;
  }
  first.close();
  const from = events.at(-1)?.position;
  const rest = await local.supervisor.follow({
    ...(from === undefined ? {} : { from }),
    follow: true,
    holds: false,
  });
  events.push(...(await untilExit(rest)));
  expect(text(events)).toBe(Array.from({ length: 300 }, (_, i) => `line ${i}\n`).join(''));
});

test('the last lines', async () => {
  await untilExit(await start('for i in 1 2 3 4 5; do echo $i; done'));
  const tail = await local.supervisor.follow({ tail: 2, follow: false, holds: false });
  const events: LogEvent[] = [];
  for await (const batch of tail.batches) events.push(...batch.events);
  expect(text(events).split('\n').slice(tail.start.skip)).toEqual(['4', '5', '']);
});

test('a program that is not there, a user who is not there', async () => {
  await expect(start('', { args: ['nothing'] })).rejects.toMatchObject({
    failure: {
      code: 'ENOENT',
      phase: 'exec',
      message: 'exec: "nothing": executable file not found in $PATH',
    },
  });
  await expect(start('', { user: 'nobody' })).rejects.toMatchObject({ failure: { phase: 'user' } });
  expect(await local.supervisor.state()).toMatchObject({ state: 'never' });
  expect(text(await untilExit(await start('id -u; echo $HOME', { user: 'web' })))).toBe('1000\n/home/web\n');
});

test('input goes to the command, and so does its end', async () => {
  const following = await start('cat; echo over', {}, { openStdin: true });
  await following.input.write(Buffer.from('hello\n'));
  await following.input.end();
  expect(text(await untilExit(following))).toBe('hello\nover\n');
});

test('signals: the first process ignores what it has no handler for, and ends by what kills', async () => {
  const following = await start('trap "echo caught" USR1; echo ready; while true; do sleep 0.05; done');
  const iterator = following.batches[Symbol.asyncIterator]();
  let seen = '';
  const until = async (wanted: string): Promise<void> => {
    while (!seen.includes(wanted)) {
      const { value } = (await iterator.next()) as { value: { events: LogEvent[] } };
      seen += text(value.events);
    }
  };
  await until('ready');
  await local.supervisor.signal(15);
  await local.supervisor.signal(10);
  await until('caught');
  local.run('/bin/kill', '-USR1', '1');
  await until('caught\ncaught');
  expect(await local.supervisor.state()).toMatchObject({ state: 'running' });
  await local.supervisor.signal(9);
  const events = await untilExit({ ...following, batches: { [Symbol.asyncIterator]: () => iterator } });
  expect(events.at(-1)).toMatchObject({ code: 137, signal: 9 });
  await expect(local.supervisor.signal(9)).rejects.toMatchObject({ failure: { code: 'ESRCH' } });
});

test('what the command leaves behind ends with it', async () => {
  await untilExit(await start('sleep 1000 & sleep 1000 & exit 0'));
  expect(local.run('/bin/ps')).not.toContain('sleep');
});

test('who has come in from outside goes on when the command ends', async () => {
  const following = await start('sleep 1000');
  const visitor = local.enter('cat');
  visitor.stdin.write('here\n');
  await once(visitor.stdout, 'data');
  const running = exec(`kill -9 ${following.start.pid}; exit 3`);
  await untilExit(following);
  await outputOf(await running);
  visitor.stdin.write('still here\n');
  const [said] = (await once(visitor.stdout, 'data')) as [Buffer];
  expect(said.toString()).toBe('still here\n');
  visitor.stdin.end();
});

test('serves nobody of the container, root or not', async () => {
  const following = await start('sleep 1000');
  // one that is served stays as long as its input
  const script = 'mkfifo /pipe && exec 3<>/pipe && /.caisson/init ctl <&3; echo over';
  const { stdout, code } = await outputOf(await exec(script));
  expect({ stdout, code }).toEqual({ stdout: 'over\n', code: 0 });
  following.close();
});

test('an exec that signals everybody has its answer', async () => {
  const following = await start("trap '' TERM; sleep 1000");
  const { stdout, code } = await outputOf(await exec('kill -TERM -1; echo told; exit 3'));
  expect({ stdout, code }).toEqual({ stdout: 'told\n', code: 3 });
  following.close();
});

test('execs: streams, code, input, user, terminal and its size', async () => {
  const following = await start('sleep 1000');
  expect(await outputOf(await exec('echo a; echo b >&2; exit 5'))).toEqual({
    stdout: 'a\n',
    stderr: 'b\n',
    code: 5,
  });
  const cat = await exec('cat');
  const written = cat.input.write(Buffer.alloc(1_000_000, 'x')).then(() => cat.input.end());
  expect((await outputOf(cat)).stdout).toHaveLength(1_000_000);
  await written;
  expect((await outputOf(await exec('id -u', { user: '1234' }))).stdout).toBe('1234\n');
  const terminal = await exec('stty -echo; stty size; read line; echo $line; exit 4', {
    terminal: true,
    consoleSize: { rows: 24, columns: 80 },
  });
  let seen = '';
  for await (const { data } of terminal.output) {
    if (seen === '') await terminal.input.write(Buffer.from('typed\n'));
    seen += data.toString();
  }
  expect(seen).toBe('24 80\r\ntyped\r\n');
  const { code } = await terminal.exit;
  expect(code).toBe(4);
  await expect(exec('', { args: ['/etc/passwd'] })).rejects.toMatchObject({
    failure: { code: 'EACCES', message: 'exec: "/etc/passwd": permission denied' },
  });
  await local.supervisor.signal(9);
  await untilExit(following);
});

test('an exec that nobody is attached to is known by its id', async () => {
  const following = await start('sleep 1000');
  await local.supervisor.exec({
    id: 'one',
    process: shell('exit 7'),
    stdin: false,
    stdout: false,
    stderr: false,
    detach: true,
  });
  for (;;) {
    const state = await local.supervisor.execState('one');
    if (state.running) continue;
    expect(state.code).toBe(7);
    break;
  }
  await expect(local.supervisor.execState('two')).rejects.toMatchObject({ failure: { code: 'ENOENT' } });
  following.close();
});

test('more output than a client reads holds the command up', async () => {
  const following = await start('yes | head -c 8000000; echo done >&2');
  // It comes to a halt before it is done.
  let [before, end] = [-1, 0];
  for (; end !== before || end < 1_000_000; { end } = await local.supervisor.state()) before = end;
  expect(end).toBeLessThan(8_000_000);
  const events = await untilExit(following);
  expect(text(events)).toHaveLength(8_000_000);
});

test('files in and out, and what has changed', async () => {
  await untilExit(await start('echo content >/tmp/file; rm /etc/group; mkdir /new; echo x >>/etc/passwd'));
  const stat = await outputOf(await local.supervisor.job({ kind: 'stat', path: '/tmp/file' }));
  expect(stat.stdout.split('\0')[1]).toBe('/tmp/file');
  const archive = await local.supervisor.job({ kind: 'archive', path: '/tmp/file', name: 'file' });
  const chunks: Buffer[] = [];
  for await (const { data } of archive.output) chunks.push(data);
  const tar = Buffer.concat(chunks);
  expect(tar.toString('latin1')).toContain('content\n');
  const extract = await local.supervisor.job({
    kind: 'extract',
    path: '/new',
    noOverwriteDirNonDir: false,
    setOwner: false,
    uid: 0,
    gid: 0,
  });
  await extract.input.write(tar);
  await extract.input.end();
  expect((await outputOf(extract)).code).toBe(0);
  expect(local.run('/bin/cat', '/new/file')).toBe('content\n');
  const missing = await local.supervisor.job({ kind: 'stat', path: '/nothing' });
  expect(await outputOf(missing)).toMatchObject({ code: 2 });
  expect((await missing.exit).message).toBe('lstat /nothing: no such file or directory');
  const changes = (await outputOf(await local.supervisor.job({ kind: 'changes' }))).stdout.split('\0').sort();
  expect(changes).toEqual([
    '',
    'A/new',
    'A/new/file',
    'A/tmp/file',
    'C/etc',
    'C/etc/passwd',
    'C/tmp',
    'D/etc/group',
  ]);
  const usage = await outputOf(await local.supervisor.job({ kind: 'usage' }));
  const sizes = ['/new/file', '/tmp/file', '/etc/passwd'].map((file) => local.run('/bin/wc', '-c', file));
  const bytes = sizes.reduce((sum, line) => sum + parseInt(line, 10), 0);
  expect(JSON.parse(usage.stdout)).toEqual({ bytes });
});

test('tells whether a network lets through what it should, and only that', async () => {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of a server that listens on TCP
  const reach = (...ports: number[]): Promise<unknown[]> =>
    once(spawn('build/guest/supervisor/init', ['reach', '127.0.0.1', ...ports.map(String)]), 'exit');
  expect(await reach(port, 1)).toEqual([0, null]);
  server.close();
});

test('what has changed is a layer, with whiteouts for what is gone', async () => {
  const script =
    'echo new >/tmp/file; ln /tmp/file /tmp/name; rm /etc/group; echo more >>/etc/passwd; mkdir -p /etc/a/b; rm -r /bin/cat; mkdir /bin/cat';
  await untilExit(await start(script));
  const job = await local.supervisor.job({ kind: 'layer' });
  const chunks: Buffer[] = [];
  for await (const { data } of job.output) chunks.push(data);
  expect(await job.exit).toMatchObject({ code: 0 });
  const names: string[] = [];
  const parser = new TarParser({
    entry: ({ name, type, link }) => {
      names.push(`${type} ${name}${type === '1' ? ` = ${link}` : ''}`);
      return false;
    },
    data: () => undefined,
  });
  parser.write(Buffer.concat(chunks));
  parser.end();
  expect(names).toEqual([
    '5 bin/',
    '5 bin/cat/',
    '5 etc/',
    '5 etc/a/',
    '5 etc/a/b/',
    '0 etc/passwd',
    '5 tmp/',
    '0 tmp/file',
    '1 tmp/name = tmp/file',
    '0 etc/.wh.group',
  ]);
});

test('counters, of processes those of the container', async () => {
  const following = await start('sleep 1000 & echo; wait');
  await following.batches[Symbol.asyncIterator]().next();
  const { stdout } = await outputOf(await local.supervisor.job({ kind: 'stats' }));
  expect(JSON.parse(stdout)).toMatchObject({
    onlineCpus: expect.any(Number),
    networks: expect.any(Object),
    pids: { current: 2 },
  });
  following.close();
});

describe('with sockets', () => {
  const socket = '/run/docker.sock';
  let withSocket: LocalSupervisor;
  beforeEach(async () => {
    withSocket = await startLocalSupervisor('run', '/.caisson/run', `640:7:8:${socket}`);
    await withSocket.supervisor.state(); // it has made its sockets before it answers
  });
  afterEach(() => withSocket.end());

  test('who connects waits until a daemon takes the connection', async () => {
    const client = connect({ path: `/proc/${withSocket.pid}/root${socket}`, allowHalfOpen: true });
    client.end('question');
    const tunnel = await openTunnel(withSocket.supervisor, { kind: 'sockets' }, (connection) => {
      connection.pipe(connection);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk as Buffer);
    tunnel.close();
    expect(Buffer.concat(chunks).toString()).toBe('question');
  });

  test('which can’t be made the command doesn’t start', async () => {
    const other = await startLocalSupervisor('run', '/.caisson/run', '660:0:0:/etc');
    try {
      await expect(start('true', {}, {}, other)).rejects.toThrow('make the socket /etc: Is a directory');
    } finally {
      await other.end();
    }
  });

  test('has its other jobs, too; who has none is told so', async () => {
    const usage = await withSocket.supervisor.job({ kind: 'usage' });
    expect((await outputOf(usage)).code).toBe(0);
    const changes = await outputOf(await withSocket.supervisor.job({ kind: 'changes' }));
    expect(changes.stdout.split('\0')).toContain(`A${socket}`);
    const refused = await local.supervisor.job({ kind: 'sockets' });
    await outputOf(refused);
    expect((await refused.exit).message).toBe('the container has no sockets');
  });
});
