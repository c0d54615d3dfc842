// The private network namespace: made once, kept alive by a bind mount of its nsfs file, found again at start. It
// outlives the daemon because the VMs and their taps live in it.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { closeSync, existsSync, openSync, readlinkSync, rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

import { DaemonError } from '../errors';
import { makeRunDirectory } from '../host/directories';
import { helperEnvironment } from '../host/helper-environment';
import { log } from '../log';

/** NSFS_MAGIC of linux/magic.h. */
const nsfsMagic = 0x6e736673;

/** What differs from a new namespace's defaults. A file that this kernel lacks is passed over. */
const sysctls: readonly (readonly [string, string])[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
  // slirp4netns configures IPv6 by router advertisement only. From guests none passes the rules.
  ['net/ipv6/conf/default/accept_ra', '2'],
  ['net/ipv6/conf/default/accept_dad', '0'],
  ['net/ipv6/conf/default/router_solicitation_delay', '0'],
  // Without these, traffic inside one bridge would pass the forward chain of the IP families as well.
  ['net/bridge/bridge-nf-call-iptables', '0'],
  ['net/bridge/bridge-nf-call-ip6tables', '0'],
  ['net/bridge/bridge-nf-call-arptables', '0'],
  // Answer ARP on a bridge only for that bridge's own address, and believe no redirect.
  ['net/ipv4/conf/all/arp_ignore', '1'],
  ['net/ipv4/conf/all/arp_announce', '2'],
  ['net/ipv4/conf/all/accept_redirects', '0'],
  ['net/ipv4/conf/all/send_redirects', '0'],
  ['net/ipv4/conf/default/send_redirects', '0'],
  // The name server runs without privileges.
  ['net/ipv4/ip_unprivileged_port_start', '0'],
  ['net/ipv4/ip_local_port_range', '1024 65535'],
];

export class PrivateNamespace {
  readonly path: string;
  /** Keeps the namespace, whatever becomes of its name. */
  #held: number | undefined;
  /** The name that is being made again: two that miss it at once would mount it twice. */
  #mending: Promise<void> | undefined;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Finds the namespace at `path` or makes it there, and brings its sysctls to what is wanted. `holders`: processes that an
   * earlier daemon has left in it, by which it is found when its name is gone.
   */
  static async open(path: string, holders: readonly number[] = []): Promise<PrivateNamespace> {
    const namespace = new PrivateNamespace(path);
    if (!namespace.exists()) await namespace.#make(holders);
    namespace.#held = openSync(path, 'r');
    const writes = sysctls.map(
      ([key, value]) => `[ ! -e /proc/sys/${key} ] || echo '${value}' >/proc/sys/${key}`,
    );
    await namespace.run('sh', ['-ec', writes.join('\n')]);
    return namespace;
  }

  async #make(holders: readonly number[]): Promise<void> {
    for (const pid of holders) {
      const source = `/proc/${pid}/ns/net`;
      if (!isForeign(source)) continue;
      log.warn('the private network namespace had lost its name', { path: this.path, foundBy: pid });
      return this.#mount(source);
    }
    await this.#makeMountPoint();
    await execute('unshare', [`--net=${this.path}`, 'true']);
  }

  /** Brings the name back if somebody has removed it. Resolves with whether that was so. */
  async ensure(): Promise<boolean> {
    if (this.#held === undefined || this.exists()) return false;
    if (this.#mending === undefined) {
      log.error('the name of the private network namespace is gone, and is made again', { path: this.path });
      this.#mending = this.#mount(`/proc/${process.pid}/fd/${this.#held}`).finally(() => {
        this.#mending = undefined;
      });
    }
    await this.#mending;
    return true;
  }

  async #mount(source: string): Promise<void> {
    await this.#makeMountPoint();
    await execute('mount', ['--no-canonicalize', '--bind', source, this.path]);
  }

  async #makeMountPoint(): Promise<void> {
    await makeRunDirectory(dirname(this.path));
    closeSync(openSync(this.path, 'a', 0o600));
  }

  /** Lets go of the namespace, which lives on by its name. */
  close(): void {
    if (this.#held !== undefined) closeSync(this.#held);
    this.#held = undefined;
  }

  /** True if the path is the mount of a namespace, and not a file that a reboot left. */
  exists(): boolean {
    return existsSync(this.path) && statfsSync(this.path).type === nsfsMagic;
  }

  /** Runs a program to its end inside; resolves with its output. Rejects with what it wrote to stderr. */
  run(program: string, args: readonly string[], input?: string): Promise<string> {
    return execute('nsenter', [`--net=${this.path}`, '--', program, ...args], input);
  }

  /** Starts a program inside. */
  spawn(program: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
    return spawn('nsenter', [`--net=${this.path}`, '--', program, ...args], {
      stdio,
      env: helperEnvironment(),
    });
  }

  /** Gives up the name; the namespace is gone with the last process in it. */
  async remove(): Promise<void> {
    this.close();
    // a crash between mount and record may have mounted twice
    while (this.exists()) await execute('umount', [this.path]);
    rmSync(this.path, { force: true });
  }
}

/** Whether this is a network namespace other than our own. */
function isForeign(path: string): boolean {
  try {
    return readlinkSync(path) !== readlinkSync('/proc/self/ns/net');
  } catch {
    return false; // the process has ended
  }
}

function execute(program: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 64 * 1024 * 1024, env: helperEnvironment() };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else {
        const said = stderr.trim() === '' ? error.message : stderr.trim();
        reject(
          new DaemonError('Internal', `${args.slice(program === 'nsenter' ? 2 : 0).join(' ')}: ${said}`, {
            cause: error,
          }),
        );
      }
    });
    // a child that ends without reading its input is reported by its status
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
