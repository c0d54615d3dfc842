// The guest's end of a file server, for tests: sends FUSE requests as bytes, well-formed or not.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { wallClock } from '../../../src/async/deadline';
import { handOver } from '../../../src/vm/file-server/share-opener';
import { withFewDescriptors } from '../process/few-descriptors';
import { projectDir } from '../process/project-dir';

/** Operations by their numbers in linux/fuse.h. */
export const fuse = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  release: 18,
  setxattr: 21,
  getxattr: 22,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  setlk: 32,
  setlkw: 33,
  create: 35,
  interrupt: 36,
  batchForget: 42,
  fallocate: 43,
  copyFileRange: 47,
  syncfs: 50,
} as const;

export const fuseRoot = 1n;
/** Never answered. */
const silent = new Set<number>([fuse.forget, fuse.interrupt, fuse.batchForget]);

export interface FuseAnswer {
  /** 0 or a negative errno. */
  error: number;
  body: Buffer;
}

/** Little-endian numbers of 8 bytes. */
export function u64s(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => bytes.writeBigUInt64LE(BigInt.asUintN(64, value), index * 8));
  return bytes;
}

/** Little-endian numbers of 4 bytes. */
export function u32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, index * 4));
  return bytes;
}

/** Names as the kernel sends them. */
export function names(...texts: string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\0`).join(''), 'latin1');
}

const openerPath = join(projectDir, 'build/native/share-open');
/**
 * Which build of the server is tested: the checked one, which ends at the first thing that is undefined, or the one that is shipped,
 * in its sandbox.
 */
const build = process.env['CAISSON_FS_SERVER_BUILD'] ?? 'fs-server-checked';

/** A line whose path the server can't open itself. */
async function opened(controlPath: string, line: string): Promise<string> {
  const [answer = ''] = await handOver(openerPath, controlPath, [line], 60_000, wallClock);
  return answer;
}

/** Lines to the control socket, one after the other. What the connection holds goes with it. */
export class ControlSession {
  readonly #socket: Socket;
  readonly #controlPath: string;

  constructor(socket: Socket, controlPath: string) {
    this.#socket = socket;
    this.#controlPath = controlPath;
  }

  async send(line: string): Promise<string> {
    const [verb = '', path] = line.split(' ');
    if (['save', 'load'].includes(verb) && path !== undefined) {
      const answer = await opened(this.#controlPath, line);
      return answer === 'ok' ? this.send(verb) : answer;
    }
    this.#socket.write(`${line}\n`);
    const [answer] = (await once(this.#socket, 'data')) as [Buffer];
    return answer.toString().trim();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Of READ and READDIR: what an open file has from its beginning on. */
export function readBody(handle: bigint): Buffer {
  return Buffer.concat([u64s(handle, 0n), u32s(4096, 0), u64s(0n, 0n)]);
}

/** What the server tells unasked. */
export interface FuseNotice {
  /** FUSE_NOTIFY_ number. */
  code: number;
  body: Buffer;
}

export class FuseClient {
  readonly server: ChildProcess;
  /** What the server has complained of. */
  complaints = '';
  readonly #socket: Socket;
  readonly #controlPath: string;
  readonly #waiting = new Map<bigint, (answer: FuseAnswer) => void>();
  readonly #orphans: bigint[] = [];
  readonly #notices: FuseNotice[] = [];
  #noticed: (() => void) | undefined;
  #pending = Buffer.alloc(0);
  #unique = 1n;

  private constructor(server: ChildProcess, socket: Socket, controlPath: string) {
    this.server = server;
    this.#socket = socket;
    this.#controlPath = controlPath;
    server.stderr?.on('data', (text: Buffer) => (this.complaints += text.toString()));
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', () => undefined);
  }

  /**
   * Builds the server with sanitizers and starts it; its sockets lie in `directory`. `maxDescriptors` is what it may have, and
   * cannot change.
   */
  static async start(directory: string, maxDescriptors?: number): Promise<FuseClient> {
    execFileSync('make', ['-s', '-C', join(projectDir, 'native'), 'all', build], { stdio: 'pipe' });
    const path = join(directory, 'fuse.sock');
    const controlPath = join(directory, 'control.sock');
    const listener = createServer().listen(path);
    await once(listener, 'listening');
    const command = [join(projectDir, 'build/native', build), path, controlPath];
    const [program = '', ...args] = withFewDescriptors(command, maxDescriptors);
    const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [[socket]] = await Promise.all([
      once(listener, 'connection') as Promise<[Socket]>,
      once(server.stdout, 'data'),
    ]);
    listener.close();
    return new FuseClient(server, socket, controlPath);
  }

  /** One line to the control socket and its answer; the server has closed its end of the connection by then. */
  async control(line: string): Promise<string> {
    if (line.startsWith('add ')) return opened(this.#controlPath, line);
    const socket = connect(this.#controlPath);
    const closed = once(socket, 'close');
    socket.end(`${line}\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    await closed;
    return answer.toString().trim();
  }

  /** A connection to the control socket for several lines. */
  async openControl(): Promise<ControlSession> {
    const socket = connect(this.#controlPath);
    await once(socket, 'connect');
    return new ControlSession(socket, this.#controlPath);
  }

  /** Bytes as they are. */
  raw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Number of the request that is sent next. */
  get next(): bigint {
    return this.#unique;
  }

  /** Resolves with the answer; at once for what is never answered. */
  async request(opcode: number, nodeid: bigint, body: Buffer, owner = 0, pid = 1): Promise<FuseAnswer> {
    const unique = this.#unique++;
    const answer = silent.has(opcode)
      ? Promise.resolve({ error: 0, body: Buffer.alloc(0) })
      : new Promise<FuseAnswer>((done) => this.#waiting.set(unique, done));
    const header = [u32s(40 + body.length, opcode), u64s(unique, nodeid), u32s(owner, owner, pid, 0)];
    this.#socket.write(Buffer.concat([...header, body]));
    return await answer;
  }

  /** Answers that nobody asked for, or that came twice. */
  get strays(): readonly bigint[] {
    return this.#orphans;
  }

  /** The oldest notice that was not taken; waits for one. */
  async nextNotice(): Promise<FuseNotice> {
    for (;;) {
      const oldest = this.#notices.shift();
      if (oldest !== undefined) return oldest;
      await new Promise<void>((resolve) => (this.#noticed = resolve));
    }
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.server.pid}/fd`).length;
  }

  /** As the VM's end: resolves with the server's exit code. */
  async end(): Promise<number | null> {
    if (this.server.exitCode !== null) return this.server.exitCode;
    const exited = once(this.server, 'exit') as Promise<[number | null]>;
    this.#socket.destroy();
    return (await exited)[0];
  }

  #take(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= 16) {
      const length = this.#pending.readUInt32LE(0);
      if (this.#pending.length < length) return;
      const unique = this.#pending.readBigUInt64LE(8);
      const done = this.#waiting.get(unique);
      this.#waiting.delete(unique);
      const [code, body] = [this.#pending.readInt32LE(4), this.#pending.subarray(16, length)];
      if (unique === 0n) {
        this.#notices.push({ code, body });
        this.#noticed?.();
      } else if (done === undefined) this.#orphans.push(unique);
      done?.({ error: code, body });
      this.#pending = this.#pending.subarray(length);
    }
  }
}
