// A network namespace for one test run: both engines and the registry live in it, so no port of the machine is used.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { type GuardedProcess, startGuarded } from '../process/guarded-process';

/** Lives as long as the process that holds it; without a name anywhere, so that nothing is left if that is killed. */
export class NetworkNamespace {
  readonly holderPid: number;
  readonly #holder: GuardedProcess | undefined;
  readonly #dir: string | undefined;

  private constructor(holderPid: number, holder?: GuardedProcess, dir?: string) {
    this.holderPid = holderPid;
    this.#holder = holder;
    this.#dir = dir;
  }

  /** Makes the namespace with its loopback up. Needs root. */
  static async create(detached = false): Promise<NetworkNamespace> {
    const dir = mkdtempSync('/tmp/caisson-netns-');
    const up = 'ip link set lo up && sysctl -qw net.ipv4.ip_forward=1 && echo ready && exec sleep infinity';
    const logPath = join(dir, 'log');
    const holder = await startGuarded(['unshare', '--net', 'sh', '-c', up], { logPath, detached });
    const namespace = new NetworkNamespace(holder.pid, holder, dir);
    // the holder may not have entered it yet
    for (let tries = 0; execFileSync('cat', [logPath], { encoding: 'utf8' }) !== 'ready\n'; tries += 1) {
      if (tries > 100 || !holder.isRunning())
        throw new Error('could not make a network namespace: is this root?');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return namespace;
  }

  /** One that an earlier run left, or that another process of this run made. */
  static existing(holderPid: number): NetworkNamespace {
    return new NetworkNamespace(holderPid);
  }

  /** `command`, to be executed inside. */
  wrap(command: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.holderPid}/ns/net`, ...command];
  }

  run(program: string, args: readonly string[]): string {
    const [first = '', ...rest] = this.wrap([program, ...args]);
    return execFileSync(first, rest, { encoding: 'utf8' });
  }

  /** Ends the holder; the namespace goes with the last process in it. */
  async delete(): Promise<void> {
    await this.#holder?.stop();
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }
}
