// The host's end of a VM's shared files: starts native/fs-server on the VM's FUSE port and tells it what to share.
// The server is its own session and lives as long as the VM, also without the daemon.

import { spawn } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import split2 from 'split2';
import { DaemonError, errorMessage, systemErrorCode } from '../errors';

/** Something of the host that a VM may see, below the root of its FUSE mount. */
export interface FileShare {
  /** Directory name below the root: letters, digits, dashes. Unique in the VM. */
  name: string;
  /** A directory or a regular file. It is opened once; what takes its path later is not seen. */
  hostPath: string;
  readOnly: boolean;
  /** How long the guest may trust what it knows of names and attributes. 0: not at all. */
  cacheMilliseconds: number;
}

export interface FileServerPaths {
  binary: string;
  /** Run directory of the VM: holds `fuse.sock` (QEMU's), `fs-control.sock`, `fs-server.pid` and `fs-server.log`. */
  vmRunDir: string;
}

const controlTimeoutMs = 5000;

export class FileServer {
  readonly #paths: FileServerPaths;
  #starting: Promise<void> | undefined;
  readonly #names: Set<string>;

  /** `names`: of shares that an earlier daemon has added. */
  constructor(paths: FileServerPaths, names: readonly string[] = []) {
    this.#paths = paths;
    this.#names = new Set(names);
  }

  /** Adds shares; starts the server with the first. Adding the same name again is harmless. */
  async add(shares: readonly FileShare[]): Promise<void> {
    if (shares.length === 0) return;
    for (const { name } of shares) this.#names.add(name);
    this.#starting ??= this.#start();
    await this.#starting;
    const lines = shares.map(
      (share) =>
        `add ${share.name} ${share.readOnly ? 'ro' : 'rw'} ${share.cacheMilliseconds} ${encodePath(share.hostPath)}`,
    );
    const answers = await this.#command(lines);
    answers.forEach((answer, index) => {
      if (answer !== 'ok') {
        throw new DaemonError('Internal', `share ${shares[index]?.hostPath ?? ''} with the VM: ${answer}`);
      }
    });
  }

  /** Takes shares away; files that the guest has open stay open. */
  async remove(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#command(names.map((name) => `remove ${name}`));
  }

  /** Takes away whatever was added. */
  async removeAll(): Promise<void> {
    await this.remove([...this.#names]);
    this.#names.clear();
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

  async #start(): Promise<void> {
    if ((await this.pid()) !== undefined) return;
    const { binary, vmRunDir } = this.#paths;
    const log = await open(join(vmRunDir, 'fs-server.log'), 'a', 0o600);
    try {
      const child = spawn(binary, [join(vmRunDir, 'fuse.sock'), join(vmRunDir, 'fs-control.sock')], {
        detached: true,
        stdio: ['ignore', 'pipe', log.fd],
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
    } catch (error) {
      this.#starting = undefined;
      throw error;
    } finally {
      await log.close();
    }
  }

  /** Sends the lines and resolves with as many answers. */
  #command(lines: readonly string[]): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const answers: string[] = [];
      const socket = connect(join(this.#paths.vmRunDir, 'fs-control.sock'));
      const fail = (error: unknown): void => {
        socket.destroy();
        const code = systemErrorCode(error) ?? errorMessage(error);
        reject(
          new DaemonError('Unavailable', `the VM's file server does not answer: ${code}`, { cause: error }),
        );
      };
      socket.setTimeout(controlTimeoutMs, () => fail(new Error('timeout')));
      socket.on('error', fail);
      socket.on('close', () => fail(new Error('closed')));
      socket.pipe(split2()).on('data', (line: string) => {
        answers.push(line);
        if (answers.length < lines.length) return;
        resolve(answers);
        socket.removeAllListeners('close');
        socket.destroy();
      });
      socket.write(lines.map((line) => `${line}\n`).join(''));
    });
  }
}

/** Line feeds and percent signs may be part of a path, and lines and escapes of the control protocol. */
function encodePath(path: string): string {
  return path.replaceAll('%', '%25').replaceAll('\n', '%0A');
}
