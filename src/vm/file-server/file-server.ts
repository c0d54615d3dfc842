// file-server/: the daemon's end of a VM's file server.
//
// The host's end of a VM's shared files: starts native/fs-server on the VM's FUSE port and tells it what to share.
// The server is its own session and lives as long as the VM, also without the daemon.

import type { FileShare } from '../contract/vm';
import { spawn } from 'node:child_process';
import { open, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wallClock, type Clock } from '../../async/deadline';
import { processClock } from '../../async/process-clock';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import { ControlConnection } from './control-connection';
import { encodePath } from './encode-path';
import { HeldFileServer } from './held-file-server';
import { handOver } from './share-opener';
import { heard, type SharedPath, type SharedPaths } from './shared-paths';

export interface FileServerPaths {
  /** Directory of fs-server and share-open. */
  nativeDir: string;
  /** Run directory of the VM: holds `fuse.sock` (QEMU's), `fs-control.sock`, `fs-server.pid` and `fs-server.log`. */
  vmRunDir: string;
}

/** The shares by their real paths, as the server and others' claims need them. */
export function realShares(shares: readonly FileShare[]): Promise<FileShare[]> {
  return Promise.all(shares.map(async (share) => ({ ...share, hostPath: await realpath(share.hostPath) })));
}

/** What is recorded of them: path by name. */
export function sharePathsOf(shares: readonly FileShare[]): Record<string, string> {
  return Object.fromEntries(shares.map(({ name, hostPath }) => [name, hostPath]));
}

const controlTimeoutMs = 5000;
/** A file system that does not answer holds the opener up, and not the server. */
const openTimeoutMs = 20_000;
/**
 * How long a guest may trust what it was told of names and attributes of files that no other VM sees, where the host's kernel
 * does not tell of changes (docs/adr/0008-guest-file-cache.md). Where it does, the file server makes it longer by itself
 * (docs/adr/0017-names-trusted-for-long.md), and answers `cache NAME 0` when that is over.
 */
const cacheMilliseconds = 20;
/** Between two looks at whether the server is there. At the VM's end it goes a little earlier: it is missed twice before that is told. */
const lookMs = 5000;
/** A tick of the guest's kernel, which rounds up. */
const guestTickMs = 10;

export class FileServer {
  readonly #paths: FileServerPaths;
  readonly #sharedPaths: SharedPaths;
  #starting: Promise<void> | undefined;
  #adding: Promise<unknown> = Promise.resolve();
  #settingCache: Promise<unknown> = Promise.resolve();
  readonly #shares = new Map<string, SharedPath>();
  readonly #lookMs: number;
  #watch: NodeJS.Timeout | undefined;
  #misses = 0;

  /** `shares`: what an earlier daemon has added, path by name. */
  constructor(
    paths: FileServerPaths,
    sharedPaths: SharedPaths,
    shares: Readonly<Record<string, string>> = {},
    options: { lookMs?: number } = {},
  ) {
    this.#paths = paths;
    this.#lookMs = options.lookMs ?? lookMs;
    if (Object.keys(shares).length > 0) this.#watchServer();
    this.#sharedPaths = sharedPaths;
    const known = Object.entries(shares).map(([name, path]) => this.#note(name, path));
    const { alone, settle } = sharedPaths.claim(known);
    void settle();
    // The daemon before may have died when it had told others of it, and not this server.
    for (const shared of known) if (!alone.has(shared)) void heard(shared, shared.forgetsAtOnce());
  }

  /** Adds shares; starts the server with the first. Adding the same name again is harmless. */
  async add(shares: readonly FileShare[]): Promise<void> {
    if (shares.length === 0) return;
    const noted = shares.map(({ name, hostPath }) => this.#note(name, hostPath));
    const { alone, settle } = this.#sharedPaths.claim(noted);
    const caches = noted.map((shared) => (alone.has(shared) ? cacheMilliseconds : 0));
    const adding = this.#add(shares, caches);
    this.#adding = Promise.allSettled([this.#adding, adding]);
    await Promise.all([adding, settle()]);
  }

  #note(name: string, path: string): SharedPath {
    const before = this.#shares.get(name);
    if (before !== undefined) this.#sharedPaths.release([before]);
    const shared = {
      path,
      forgetsAtOnce: () => this.#forget(name),
      mayRemember: () => this.#setCache(name, cacheMilliseconds),
    };
    this.#shares.set(name, shared);
    return shared;
  }

  /** What the guest was told of the share stays good for a moment; then it asks each time. */
  async #forget(name: string): Promise<void> {
    await this.#setCache(name, 0);
    await new Promise((resolve) => setTimeout(resolve, cacheMilliseconds + guestTickMs));
  }

  /** One after the other, and after the share was added. */
  #setCache(name: string, milliseconds: number): Promise<void> {
    const set = this.#settingCache.then(async () => {
      await this.#adding;
      await this.#command([`cache ${name} ${milliseconds}`]);
    });
    this.#settingCache = set.catch(() => undefined);
    return set;
  }

  async #add(shares: readonly FileShare[], caches: readonly number[]): Promise<void> {
    this.#starting ??= this.#start();
    await this.#starting;
    const lines = shares.map(
      ({ name, readOnly, hostPath }, index) =>
        `add ${name} ${readOnly ? 'ro' : 'rw'} ${caches[index] ?? 0} ${encodePath(hostPath)}`,
    );
    const answers = await handOver(
      this.#openerPath,
      this.#controlPath,
      lines,
      openTimeoutMs,
      await this.#clock(),
    );
    answers.forEach((answer, index) => {
      if (answer !== 'ok') {
        throw new DaemonError('Internal', `share ${shares[index]?.hostPath ?? ''} with the VM: ${answer}`);
      }
    });
  }

  /** The guest's requests wait. */
  async hold(): Promise<HeldFileServer> {
    return HeldFileServer.hold(this.#controlPath, this.#openerPath, await this.#clock());
  }

  /**
   * Starts the server with these shares, for a guest that goes on where another server knew it. Before the guest's state is
   * loaded: the port is open in that.
   */
  async restore(shares: readonly FileShare[], statePath: string): Promise<void> {
    this.#starting ??= this.#start();
    await this.#starting;
    await this.add(shares);
    const held = await this.hold();
    try {
      await held.load(statePath);
    } finally {
      held.release();
    }
  }

  /** Nothing can be written to these shares from now on, also through files that are open. */
  async protect(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const answers = await this.#command(names.map((name) => `protect ${name}`));
    const refused = answers.find((answer) => answer !== 'ok');
    if (refused !== undefined) throw new DaemonError('Internal', `protect a share of the VM: ${refused}`);
  }

  /** Takes shares away; files that the guest has open stay open. */
  async remove(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#command(names.map((name) => `remove ${name}`));
    this.#forgetShares(names);
  }

  /** Takes away whatever was added. */
  async removeAll(): Promise<void> {
    await this.remove([...this.#shares.keys()]);
  }

  /** The VM is gone, or sees none of it any more: others have the files to themselves. */
  forgetAll(): void {
    this.#stopWatching();
    this.#forgetShares([...this.#shares.keys()]);
  }

  #forgetShares(names: readonly string[]): void {
    this.#sharedPaths.release(names.flatMap((name) => this.#shares.get(name) ?? []));
    for (const name of names) this.#shares.delete(name);
  }

  /** Pid of the server, for the VM's end; undefined when there is none. */
  async pid(): Promise<number | undefined> {
    try {
      const pid = Number(await readFile(join(this.#paths.vmRunDir, 'fs-server.pid'), 'utf8'));
      const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      return commandLine.includes(this.#paths.vmRunDir) ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** The guest can't be given another server: the files that it knows were the first one's. So all that can be done is to tell. */
  #watchServer(): void {
    this.#stopWatching();
    this.#misses = 0;
    const watch = setInterval(() => {
      void this.pid().then((pid) => {
        // on a slow host two looks overlap
        if (this.#watch !== watch) return;
        this.#misses = pid === undefined ? this.#misses + 1 : 0;
        if (this.#misses < 2 || this.#shares.size === 0) return;
        this.#stopWatching();
        log.error(
          'the file server of a VM has ended: its volumes and binds give I/O errors until its containers are restarted',
          { vmRunDir: this.#paths.vmRunDir, shares: [...this.#shares.values()].map(({ path }) => path) },
        );
      });
    }, this.#lookMs).unref();
    this.#watch = watch;
  }

  #stopWatching(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  async #start(): Promise<void> {
    if ((await this.pid()) !== undefined) return;
    const { nativeDir, vmRunDir } = this.#paths;
    const output = await open(join(vmRunDir, 'fs-server.log'), 'a', 0o600);
    try {
      const child = spawn(join(nativeDir, 'fs-server'), [join(vmRunDir, 'fuse.sock'), this.#controlPath], {
        detached: true,
        env: {},
        stdio: ['ignore', 'pipe', output.fd],
      });
      await new Promise<void>((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', (code) => {
          reject(
            new DaemonError(
              'Internal',
              `the file server ended with ${String(code)} (see ${vmRunDir}/fs-server.log)`,
            ),
          );
        });
        child.stdout?.once('data', () => resolve());
      });
      child.removeAllListeners('exit');
      child.stdout?.destroy();
      child.unref();
      await writeFile(join(vmRunDir, 'fs-server.pid'), String(child.pid), { mode: 0o600 });
      this.#watchServer();
    } catch (error) {
      this.#starting = undefined;
      throw error;
    } finally {
      await output.close();
    }
  }

  /** Sends the lines and resolves with as many answers. */
  async #command(lines: readonly string[]): Promise<string[]> {
    const connection = new ControlConnection(this.#controlPath);
    try {
      return await connection.ask(lines, controlTimeoutMs, await this.#clock());
    } finally {
      connection.close();
    }
  }

  async #clock(): Promise<Clock> {
    const pid = await this.pid();
    return pid === undefined ? wallClock : processClock(pid);
  }

  get #openerPath(): string {
    return join(this.#paths.nativeDir, 'share-open');
  }

  get #controlPath(): string {
    return join(this.#paths.vmRunDir, 'fs-control.sock');
  }
}
