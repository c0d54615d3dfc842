// What the network tests need around a manager: a "host" namespace of its own, compiled helpers, and fake guests (a veth
// pair whose one end plays the VM's tap).

import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { transformSync } from '@swc/core';

import type { Endpoint, EndpointRequest, NetworkManager } from '../../../src/network/network';

const root = resolve(__dirname, '../../..');
const driver = 'test/integration/network/manager-driver.ts';

/** Compiles the network code, its driver and the native programs to a new directory below the work tree. */
function buildHelpers(): string {
  mkdirSync(join(root, 'build'), { recursive: true });
  // below the work tree, so that netd finds its packages; searchable by everyone, since netd is nobody
  const directory = mkdtempSync(join(root, 'build/network-test-'));
  chmodSync(directory, 0o755);
  const typescript = (folder: string, recursive: boolean): string[] =>
    (readdirSync(join(root, folder), { recursive }) as string[])
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name));
  const folders = ['src/network', 'src/storage/documents', 'src/go', 'src/async', 'src/host'];
  const sources = folders.flatMap((folder) => typescript(folder, true));
  const others = [...typescript('src', false), driver];
  for (const source of [...sources, ...others]) {
    const { code } = transformSync(readFileSync(join(root, source), 'utf8'), {
      jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
    });
    const target = join(directory, source.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, code);
  }
  mkdirSync(join(directory, 'native'));
  const compileC = (source: string, program: string): void => {
    const flags = ['-std=gnu17', '-O1', '-Wall', '-iquote', root];
    execFileSync('gcc', [...flags, '-o', join(directory, program), join(root, source)]);
  };
  compileC('native/netd-host.c', 'native/netd-host');
  compileC('native/netd-ports.c', 'native/netd-ports');
  compileC('test/integration/network/frame-tool.c', 'frame-tool');
  return directory;
}

interface Answer {
  id: number;
  result?: unknown;
  error?: string;
  code?: string;
}

/** The manager's methods, from another process. */
export type RemoteManager = {
  [Key in keyof NetworkManager]: NetworkManager[Key] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never;
};

/** A NetworkManager in a process of its own (manager-driver.ts). Calls are made by name; see `manager`. */
export class ManagerProcess {
  readonly manager: RemoteManager;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  /** `prefix`: put in front of the command, inside the host's namespace. */
  constructor(hostNamespace: string, directory: string, runDir: string, prefix: readonly string[] = []) {
    const script = join(directory, driver.replace(/\.ts$/, '.js'));
    const command = [process.execPath, script, directory, runDir];
    this.#child = spawnInNamespace(hostNamespace, [...prefix, ...command]);
    createInterface(this.#child.stdout!).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#child.once('exit', () => {
      for (const [id, settle] of this.#waiting) settle({ id, error: 'the manager is gone' });
    });
    // every member becomes an asynchronous call: what tests await is the same
    this.manager = new Proxy({} as RemoteManager, {
      get:
        (_, method: string) =>
        (...args: unknown[]) =>
          this.#call(method, args),
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async property(name: keyof NetworkManager): Promise<unknown> {
    return this.#call(name, []);
  }

  /** As a crash. */
  async kill(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Closes without a word to the manager. */
  async end(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }

  #call(method: string, args: unknown[]): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error, code }) => {
        if (error === undefined) resolve(result);
        else reject(Object.assign(new Error(error), { code }));
      });
      this.#child.stdin?.write(`${JSON.stringify({ id, method, args })}\n`);
    });
  }
}

export interface LabOptions {
  /** False: the manager's `start` is the test's. */
  start?: boolean;
  /** Run the manager as an ordinary user, root only in a user namespace of its own. */
  unprivileged?: boolean;
  /** Content of the host's /etc/resolv.conf. */
  resolvConf?: string;
}

const ordinaryUid = 12_345;

/** A host (a namespace with a network behind it), a run directory, a manager and guests; all gone after `close`. */
export class NetworkLab {
  readonly directory = buildHelpers();
  /** Unix socket paths are short, so not below the work tree. */
  readonly runDir = mkdtempSync(join(tmpdir(), 'network-test-'));
  readonly host: LabNamespace;
  /** Another machine, 192.0.2.1, on the host's network: the host is 192.0.2.2. */
  readonly world: LabNamespace;
  readonly guests: FakeGuest[] = [];
  readonly #prefix: readonly string[];
  #process: ManagerProcess;

  private constructor(options: LabOptions) {
    this.#prefix = this.#ownMounts(options);
    this.host = new LabNamespace(this.runDir, 'host');
    this.world = new LabNamespace(this.runDir, 'world');
    this.host.run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0');
    moveLink(this.host, 'eth0', this.world.path);
    // no address that comes by itself later, so that the host's state can be compared
    this.host.run('ip', 'link', 'set', 'uplink', 'addrgenmode', 'none');
    this.host.run('ip', 'addr', 'add', '192.0.2.2/24', 'dev', 'uplink');
    this.host.run('ip', 'link', 'set', 'uplink', 'up');
    this.host.run('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
    this.host.run('ip', 'addr', 'add', '2001:db8::2/64', 'dev', 'uplink', 'nodad');
    this.world.run('ip', 'addr', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad');
    this.world.run('ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'eth0');
    this.world.run('ip', 'link', 'set', 'eth0', 'up');
    this.#process = this.#spawn();
  }

  static async open(options: LabOptions = {}): Promise<NetworkLab> {
    const lab = new NetworkLab(options);
    if (options.start !== false) await lab.manager.start();
    return lab;
  }

  get manager(): RemoteManager {
    return this.#process.manager;
  }

  get process(): ManagerProcess {
    return this.#process;
  }

  /** As seen from the manager's mounts, which are its own when it runs without privileges. */
  get namespacePath(): string {
    const path = join(this.runDir, 'netns');
    return this.#prefix.length === 0 ? path : `/proc/${this.#process.pid}/root${path}`;
  }

  get frameTool(): string {
    return join(this.directory, 'frame-tool');
  }

  netdHostPid(): number {
    return Number(readFileSync(join(this.runDir, 'netd.pid'), 'utf8'));
  }

  /** The pid of netd-host's child whose command line has this word. */
  childOfNetdHost(word: string): number {
    const children = readFileSync(`/proc/${this.netdHostPid()}/task/${this.netdHostPid()}/children`, 'utf8');
    const pids = children.trim().split(' ').map(Number);
    return pids.find((pid) => commandLineOf(pid).includes(word))!;
  }

  /** Another manager on the same records, as a daemon that starts again. */
  async restart(): Promise<void> {
    this.#process = this.#spawn();
    await this.manager.start();
  }

  /** An endpoint and a guest with it, as after a container's start. */
  async join(
    network: string,
    name: string,
    request: Partial<EndpointRequest> = {},
  ): Promise<{ guest: FakeGuest; endpoint: Endpoint }> {
    const { id: networkId } = await this.manager.resolve(network);
    const containerId = containerIdOf(name);
    const endpoint = await this.manager.allocate({
      networkId,
      containerId,
      containerName: name,
      aliases: [],
      ...request,
    });
    const guest = new FakeGuest(this.runDir, this.namespacePath, `cv${name}`);
    this.guests.push(guest);
    guest.configure(endpoint);
    await this.manager.attach(endpoint, guest.tapName);
    return { guest, endpoint };
  }

  async close(): Promise<void> {
    for (const guest of this.guests) guest.delete();
    await this.manager.stop({ removeNamespace: true });
    await this.#process.end();
    this.host.delete();
    this.world.delete();
    rmSync(this.directory, { recursive: true });
    rmSync(this.runDir, { recursive: true });
  }

  #spawn(): ManagerProcess {
    return new ManagerProcess(this.host.path, this.directory, this.runDir, this.#prefix);
  }

  /** A command that gives the manager mounts of its own, and if wanted only the rights of an ordinary user. */
  #ownMounts({ resolvConf, unprivileged }: LabOptions): string[] {
    const binds: string[] = [];
    if (resolvConf !== undefined) {
      writeFileSync(join(this.directory, 'resolv.conf'), resolvConf);
      binds.push(`mount --bind ${join(this.directory, 'resolv.conf')} /etc/resolv.conf`);
    }
    if (unprivileged === true) {
      const tun = join(this.runDir, 'tun'); // as distributions ship /dev/net/tun
      execFileSync('mknod', ['-m', '666', tun, 'c', '10', '200']);
      chownSync(this.runDir, ordinaryUid, ordinaryUid);
      binds.push(`mount --bind ${tun} /dev/net/tun`);
    }
    if (binds.length === 0) return [];
    const user = ['setpriv', `--reuid=${ordinaryUid}`, `--regid=${ordinaryUid}`, '--clear-groups', '--'];
    return [
      ...(unprivileged === true ? [...user, 'unshare', '--user', '--map-root-user'] : ['unshare']),
      ...['--mount', '--', 'sh', '-ec', `${binds.join('; ')}; exec "$@"`, 'sh'],
    ];
  }
}

export function containerIdOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
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
  readonly #children: ChildProcess[] = [];

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

  /** A TCP server that answers every connection with `text`. Resolves when it listens. */
  async serve(port: number, text: string, address = '0.0.0.0'): Promise<ChildProcess> {
    const script = `require('net').createServer((s) => s.on('error', () => {}).end(${JSON.stringify(text)}))
      .listen(${port}, '${address}', () => console.log('listening'))`;
    return this.startNode(script);
  }

  /** Runs a Node script that goes on. Resolves when it has printed something. */
  async startNode(script: string): Promise<ChildProcess> {
    const child = this.start(process.execPath, '-e', script);
    this.#children.push(child);
    await once(child.stdout!, 'data');
    return child;
  }

  /** What a TCP server says, or '' if it cannot be reached within a second. */
  async fetch(address: string, port: number): Promise<string> {
    return (await this.tryRun('busybox', 'nc', '-w', '1', address, String(port))).output;
  }

  /** Runs a Node script inside. */
  node(script: string, ...args: string[]): Promise<{ code: number; output: string }> {
    return runInNamespace(this.path, [process.execPath, '-', ...args], script);
  }

  delete(): void {
    for (const child of this.#children) child.kill('SIGKILL');
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
    moveLink(this, tapName, privateNamespace);
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

/** `ip link set … netns` takes a pid or a name in /run/netns, so a process of the target lends its pid. */
function moveLink(from: LabNamespace, link: string, target: string): void {
  const holder = spawn('nsenter', [`--net=${target}`, '--', 'sleep', '30'], { stdio: 'ignore' });
  try {
    waitForNamespace(holder.pid ?? 0, target);
    from.run('ip', 'link', 'set', link, 'netns', String(holder.pid));
  } finally {
    holder.kill('SIGKILL');
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

/** Empty for one that has ended meanwhile. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
