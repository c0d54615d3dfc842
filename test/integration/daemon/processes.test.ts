// What each process of a running daemon is given, by the table in docs/security.md.

import { existsSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { projectDir } from '../../support/process/project-dir';

jest.setTimeout(180_000);

const engine = useBusyboxDaemon('processes', ['--pool-size', '1']);
const { docker } = engine;

/** Bits of /proc/PID/status by their names: linux/capability.h. */
const capabilityNames =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP'.split(
    ' ',
  );

type Row = Record<string, string>;

/** The first table of the document, row by name of the process. */
function documented(): Map<string, Row> {
  const lines = readFileSync(join(projectDir, 'docs', 'security.md'), 'utf8').split('\n');
  const cells = lines
    .slice(lines.findIndex((line) => line.startsWith('| Process |')))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((parts) => parts.slice(1, -1));
  const [head = [], , ...rows] = cells.slice(
    0,
    cells.findIndex((row) => row.length === 0),
  );
  return new Map(
    rows.map(([name = '', ...row]) => [
      name,
      Object.fromEntries(row.map((cell, i) => [head[i + 1] ?? '', ordered(cell)])),
    ]),
  );
}

/** Lists in any order. */
function ordered(list: string): string {
  return list.split(', ').sort().join(', ');
}

function proc(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, 'latin1');
}

function statusOf(pid: number): Record<string, string> {
  return Object.fromEntries(
    proc(pid, 'status')
      .split('\n')
      .map((line) => line.split(':\t'))
      .map(([key = '', value = '']) => [key, value.trim()]),
  );
}

function capabilities(mask: string, all: string): string {
  if (mask === all) return 'all';
  const bits = BigInt(`0x${mask}`);
  const names = [...Array(64).keys()].filter((bit) => (bits & (1n << BigInt(bit))) !== 0n);
  return names.map((bit) => capabilityNames[bit] ?? String(bit)).join(', ') || 'none';
}

function environment(pid: number): string {
  const names = proc(pid, 'environ')
    .split('\0')
    .map((entry) => entry.split('=')[0] ?? '')
    .filter((name) => name !== '');
  return names.join(', ') || 'none';
}

function given(pid: number): Row {
  const status = statusOf(pid);
  const daemon = engine.daemon.process.pid;
  const uids = status['Uid']?.split('\t') ?? [];
  expect(new Set(uids).size).toBe(1);
  // no way back to what it has not
  expect(status['CapAmb']).toBe('0'.repeat(16));
  const all = statusOf(daemon)['CapBnd'] ?? '';
  expect(status['CapPrm']).toBe(status['CapEff']);
  const namespaceOf = (of: number): string => readlinkSync(`/proc/${of}/ns/mnt`);
  return {
    User: uids[0] === '0' ? 'root' : 'its own',
    Capabilities: ordered(capabilities(status['CapEff'] ?? '', all)),
    no_new_privs: status['NoNewPrivs'] === '1' ? 'yes' : 'no',
    seccomp: status['Seccomp'] === '2' ? 'yes' : 'no',
    Environment: pid === daemon ? "the daemon's" : ordered(environment(pid)),
    Mounts: namespaceOf(pid) === namespaceOf(daemon) ? "the host's" : 'its own',
  };
}

/** The daemon, what names its directories, and what that has started. */
function processes(): Map<string, number> {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const known = new Map(all.flatMap((pid) => described(Number(pid))).map((one) => [one.pid, one]));
  const names = ({ words }: Described): boolean => words.some((word) => word.includes(`${engine.dir}/`));
  const ours = [...known.values()].filter((one) => {
    const parent = known.get(one.parent);
    return names(one) || (parent?.name === 'netd-host' && names(parent));
  });
  // what guards the daemon is the test's
  return new Map(ours.filter(({ name }) => name !== 'bash').map(({ name, pid }) => [name, pid]));
}

interface Described {
  pid: number;
  parent: number;
  words: string[];
  name: string;
}

/** None for one that has ended. */
function described(pid: number): Described[] {
  try {
    const words = proc(pid, 'cmdline').split('\0');
    const program = basename(words[0] ?? '');
    const node = pid === engine.daemon.process.pid ? 'daemon' : 'netd';
    const name = program === 'node' ? node : `${program}${isSeed(words) ? ', the seed' : ''}`;
    return [{ pid, parent: Number(statusOf(pid)['PPid']), words, name }];
  } catch {
    return [];
  }
}

/** The one that VMs are forked from. */
function isSeed(words: readonly string[]): boolean {
  const id = /^caisson-(\w+)$/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
  return id !== undefined && existsSync(join(engine.dir, 'run/vms', id, 'seed.sock'));
}

test('each process is given what docs/security.md says', async () => {
  docker('run', '-d', '--name', 'one', '-p', '18080:80', '-v', 'data:/data', 'busybox', 'sleep', '1d');
  while (!readFileSync(engine.daemon.process.logPath, 'utf8').includes('seed made'))
    await new Promise((resolve) => setTimeout(resolve, 50));
  const rows = new Map([...processes()].map(([name, pid]) => [name, given(pid)]));
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(documented()));
});

test('the file server finds nothing of the host but what it shares', () => {
  const [pid = 0] = engine.daemon.fileServerPids();
  const root = `/proc/${pid}/root`;
  expect(readdirSync(root)).toEqual(['proc']);
  expect(readdirSync(join(root, 'proc/self')).sort()).toEqual(['fd', 'fdinfo']);
  const mountPoints = proc(pid, 'mountinfo')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[4]);
  expect(mountPoints.sort()).toEqual(['/', '/proc/self/fd', '/proc/self/fdinfo']);
  expect(statSync(root).mode & 0o222).toBe(0);
  expect(proc(pid, 'limits')).toMatch(/^Max core file size\s+0 /m);
});

test('the next daemon adds to the shares of a file server that it found', async () => {
  const servers = engine.daemon.fileServerPids();
  await engine.daemon.kill9();
  await engine.daemon.start();
  // in the same VM
  docker(
    'run',
    '--rm',
    '--network',
    'container:one',
    '-v',
    'late:/late',
    'busybox',
    'sh',
    '-c',
    'echo x >/late/x',
  );
  expect(docker('run', '--rm', '-v', 'late:/late', 'busybox', 'cat', '/late/x')).toBe('x');
  docker('exec', 'one', 'sh', '-c', 'echo y >/data/y');
  expect(engine.daemon.fileServerPids()).toEqual(expect.arrayContaining(servers));
});
