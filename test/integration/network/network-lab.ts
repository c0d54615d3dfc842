// What the network tests need around a manager: a "host" namespace of its own, compiled helpers, and fake guests (a veth
// pair whose one end plays the VM's tap).

import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { transformSync } from '@swc/core';

const root = resolve(__dirname, '../../..');

/** Compiles netd to JavaScript and the native programs; once for each directory. */
export function buildHelpers(directory: string): {
  netdScript: string;
  nativeDir: string;
  frameTool: string;
} {
  const sources = (readdirSync(join(root, 'src/network'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src/network', name));
  for (const source of [...sources, 'src/errors.ts', 'src/log.ts']) {
    const { code } = transformSync(readFileSync(join(root, source), 'utf8'), {
      jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
    });
    const target = join(directory, relative('src', source).replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, code);
  }
  const nativeDir = join(directory, 'native');
  mkdirSync(nativeDir, { recursive: true });
  const compile = (source: string, program: string): void => {
    execFileSync('gcc', ['-std=gnu17', '-O1', '-Wall', '-o', program, source]);
  };
  compile(join(root, 'native/netd-host.c'), join(nativeDir, 'netd-host'));
  const frameTool = join(directory, 'frame-tool');
  compile(join(__dirname, 'frame-tool.c'), frameTool);
  return { netdScript: join(directory, 'network/netd/main.js'), nativeDir, frameTool };
}

/** A directory below the work tree, so that netd finds its packages; searchable by everyone, since netd is nobody. */
export function labDirectory(): string {
  mkdirSync(join(root, 'build'), { recursive: true });
  const directory = mkdtempSync(join(root, 'build/network-test-'));
  execFileSync('chmod', ['755', directory]);
  return directory;
}

/** Unix socket paths are short, so run directories are not in the work tree. */
export function runDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'net-'));
}

export function inNamespace(path: string, ...command: string[]): string {
  return execFileSync('nsenter', [`--net=${path}`, '--', ...command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** As inNamespace, without blocking; resolves with the exit code and all output. */
export function runInNamespace(
  path: string,
  command: readonly string[],
  input = '',
): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    const child = execFile(
      'nsenter',
      [`--net=${path}`, '--', ...command],
      { timeout: 20_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        done({ code, output: stdout + stderr });
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

export function spawnInNamespace(path: string, command: readonly string[]): ChildProcess {
  return spawn('nsenter', [`--net=${path}`, '--', ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** A network namespace bound to a file. */
export class LabNamespace {
  readonly path: string;

  constructor(directory: string, name: string) {
    this.path = join(directory, name);
    writeFileSync(this.path, '');
    execFileSync('unshare', [`--net=${this.path}`, 'true']);
    this.run('ip', 'link', 'set', 'lo', 'up');
  }

  run(...command: string[]): string {
    return inNamespace(this.path, ...command);
  }

  start(...command: string[]): ChildProcess {
    return spawnInNamespace(this.path, command);
  }

  tryRun(...command: string[]): Promise<{ code: number; output: string }> {
    return runInNamespace(this.path, command);
  }

  /** Runs a Node script inside. */
  node(script: string, ...args: string[]): Promise<{ code: number; output: string }> {
    return runInNamespace(this.path, [process.execPath, '-', ...args], script);
  }

  delete(): void {
    execFileSync('umount', [this.path]);
    rmSync(this.path);
  }
}

export interface GuestAddress {
  macAddress: string;
  ipv4Address: string;
  ipv4PrefixLength: number;
  ipv4Gateway: string;
  ipv6Address: string;
  ipv6PrefixLength: number;
  ipv6Gateway: string;
}

/** A namespace with an eth0 whose other end is a "tap" in the private namespace. */
export class FakeGuest extends LabNamespace {
  readonly tapName: string;

  constructor(directory: string, privateNamespace: string, tapName: string) {
    super(directory, `guest-${tapName}`);
    this.tapName = tapName;
    this.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', tapName);
    // `ip link set … netns` takes a pid or a name in /run/netns, so a process of the target lends its pid
    const holder = spawn('nsenter', [`--net=${privateNamespace}`, '--', 'sleep', '30'], { stdio: 'ignore' });
    try {
      waitForNamespace(holder.pid ?? 0, privateNamespace);
      this.run('ip', 'link', 'set', tapName, 'netns', String(holder.pid));
    } finally {
      holder.kill('SIGKILL');
    }
  }

  /** What the agent does. */
  configure(endpoint: GuestAddress): void {
    this.run('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0', 'net.ipv6.conf.eth0.accept_ra=0');
    this.run('ip', 'link', 'set', 'eth0', 'address', endpoint.macAddress, 'up');
    this.run('ip', 'addr', 'add', `${endpoint.ipv4Address}/${endpoint.ipv4PrefixLength}`, 'dev', 'eth0');
    if (endpoint.ipv4Gateway !== '') this.run('ip', 'route', 'add', 'default', 'via', endpoint.ipv4Gateway);
    if (endpoint.ipv6Address === '') return;
    this.run(
      'ip',
      'addr',
      'add',
      `${endpoint.ipv6Address}/${endpoint.ipv6PrefixLength}`,
      'dev',
      'eth0',
      'nodad',
    );
    if (endpoint.ipv6Gateway !== '')
      this.run('ip', '-6', 'route', 'add', 'default', 'via', endpoint.ipv6Gateway);
  }

  async canPing(address: string): Promise<boolean> {
    const { code } = await this.tryRun('busybox', 'ping', '-c1', '-W1', address);
    return code === 0;
  }
}

function waitForNamespace(pid: number, namespace: string): void {
  const wanted = execFileSync('stat', ['-L', '-c', '%i', namespace], { encoding: 'utf8' });
  for (let tried = 0; tried < 200; tried++) {
    if (execFileSync('stat', ['-L', '-c', '%i', `/proc/${pid}/ns/net`], { encoding: 'utf8' }) === wanted)
      return;
  }
  throw new Error('nsenter did not enter');
}
