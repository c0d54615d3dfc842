// The daemon under test, as a process of its own with directories of its own.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { basename, join } from 'node:path';

import { usualNiceVariable } from '../../../src/host/start-priority';
import { withFewDescriptors } from '../process/few-descriptors';
import { type GuardedProcess, startGuarded, waitReady } from '../process/guarded-process';
import { pings, sendHttp } from '../wire/http-client';
import type { NetworkNamespace } from '../network/network-namespace';
import type { Engine } from './oracle';
import { projectDir } from '../process/project-dir';
import { borrowTemplate, lendTemplate } from './shared-template';

const mainScript = join(projectDir, 'dist', 'main.js');

export interface CaissonOptions {
  /** Takes data root, run directory, socket and log. Keep it short: socket paths have 107 bytes. */
  dir: string;
  namespace?: Pick<NetworkNamespace, 'wrap'>;
  /** More arguments of `caisson daemon`. */
  args?: readonly string[];
  detached?: boolean;
  /** For the daemon and whatever it starts; more than the 4,096 that a VM is given. */
  maxDescriptors?: number;
  /** Its answers are kept in `repliesPath`. */
  recordsReplies?: boolean;
  /** It makes its template itself, whatever there is of others. */
  ownTemplate?: boolean;
}

/** A daemon that can be killed and started again on the same directories. */
export class CaissonDaemon implements Engine {
  readonly name = 'caisson';
  readonly host: string;
  readonly dir: string;
  readonly #options: CaissonOptions;
  #process: GuardedProcess | undefined;

  private constructor(options: CaissonOptions) {
    this.#options = options;
    this.dir = options.dir;
    this.host = `unix://${options.dir}/caisson.sock`;
  }

  static async start(options: CaissonOptions): Promise<CaissonDaemon> {
    if (!existsSync(mainScript)) throw new Error('dist/main.js is missing: npm run build');
    mkdirSync(options.dir, { recursive: true });
    const daemon = new CaissonDaemon(options);
    if (options.ownTemplate !== true) borrowTemplate(join(options.dir, 'data'));
    await daemon.start();
    return daemon;
  }

  /** What it answered in JSON, a line each (src/api/reply-recorder.ts). */
  get repliesPath(): string {
    return join(this.dir, 'replies.ndjson');
  }

  get process(): GuardedProcess {
    if (this.#process === undefined) throw new Error('the daemon is not running');
    return this.#process;
  }

  /** `command`, to be executed where the daemon's ports are. */
  wrap(command: readonly string[]): string[] {
    return this.#options.namespace?.wrap(command) ?? [...command];
  }

  /** `script`: another build's main.js. `more`: arguments for this time. */
  async start(script = mainScript, more: readonly string[] = []): Promise<void> {
    const command = [
      // as `caisson up` and systemd start it: in a session of its own, ahead of others until it answers
      ...['setsid', 'env', `${usualNiceVariable}=${getPriority()}`, 'nice', '-n', '-20'],
      ...[process.execPath, script, 'daemon', '--data-root', join(this.dir, 'data')],
      ...['--run-dir', join(this.dir, 'run'), '--host', this.host, ...(this.#options.args ?? [])],
      ...more,
    ];
    const limited = withFewDescriptors(command, this.#options.maxDescriptors);
    const child = await startGuarded(this.wrap(limited), {
      logPath: join(this.dir, 'caisson.log'),
      ...(this.#options.recordsReplies === true ? { env: { CAISSON_RECORD_REPLIES: this.repliesPath } } : {}),
      ...(this.#options.detached === undefined ? {} : { detached: this.#options.detached }),
    });
    this.#process = child;
    await waitReady(child, () => pings(this.host));
  }

  /** As `kill -9` does: no chance to tidy up. Its VMs live on. */
  async kill9(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.exited;
    this.#process = undefined;
  }

  /** Removes every container, then stops the daemon. Nothing of it is left but its directory. Throws if a promise of it had no handler. */
  async stop(): Promise<void> {
    if (this.#process !== undefined) {
      await removeAllContainers(this.host);
      await this.#process.stop();
      this.#process = undefined;
    }
    this.#cleanUp();
    if (this.#options.ownTemplate !== true) lendTemplate(join(this.dir, 'data'));
    const mistakes = this.#log()
      .split('\n')
      .filter((line) => line.includes('unhandled rejection'));
    if (mistakes.length > 0) throw new Error(`the daemon had ${mistakes.length}:\n${mistakes.join('\n')}`);
  }

  #log(): string {
    const path = join(this.dir, 'caisson.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  #cleanUp(): void {
    for (const pid of this.#pids('')) {
      // VMs and the network's helpers outlive a daemon that was killed; here they must not pile up
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // gone meanwhile
      }
    }
    // the daemon's private namespace is a mount, which would keep the directory from being removed
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    for (const line of mounts) {
      const path = line.split(' ')[1] ?? '';
      if (path.startsWith(`${this.dir}/`)) execFileSync('umount', ['--lazy', path]);
    }
  }

  /** Pids of the QEMU processes whose command line names this daemon's directories, but for the one that VMs are forked from. */
  qemuPids(): number[] {
    return this.#pids('qemu').filter((pid) => !this.#isSeed(pid));
  }

  #isSeed(pid: number): boolean {
    const id = /caisson-(\w+)/.exec(readProc(String(pid), 'cmdline'))?.[1] ?? '';
    return existsSync(join(this.dir, 'run/vms', id, 'seed.sock'));
  }

  /** Pids of the processes that share the host's files with VMs, one for each that has any. */
  fileServerPids(): number[] {
    return this.#pids('fs-server');
  }

  #pids(program: string): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((pid) => {
        const command = readProc(pid, 'cmdline');
        const [path = ''] = command.split('\0');
        return basename(path).startsWith(program) && command.includes(`${this.dir}/`);
      })
      .map(Number);
  }
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

async function removeAllContainers(host: string): Promise<void> {
  try {
    const list = await sendHttp(host, { method: 'GET', path: '/v1.41/containers/json?all=1' });
    // the engine's reply; anything else throws and is swallowed below
    const containers = JSON.parse(list.body) as { Id: string }[];
    await Promise.all(
      containers.map(({ Id }) =>
        sendHttp(host, { method: 'DELETE', path: `/v1.41/containers/${Id}?force=1&v=1` }),
      ),
    );
  } catch {
    // the daemon may be dying: what is left is found by the caller
  }
}
