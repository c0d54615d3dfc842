// The daemon's end of netd: finds the one that runs (it outlives the daemon) or starts it, sends requests, and comes
// back after either side was restarted.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import split2 from 'split2';

import { settlesWithin } from '../async/deadline';
import { DaemonError, errorMessage } from '../errors';
import { helperEnvironment } from '../host/helper-environment';
import { log } from '../log';
import { netdProtocolVersion } from './addresses/netd-protocol';
import { withoutHostLoopback } from './egress';
import type { NetdOperation, NetdOperations, NetdReply } from './addresses/netd-protocol';

export interface NetdPaths {
  /** native/netd-host. */
  hostBinary: string;
  /** native/netd-ports. */
  portsBinary: string;
  /** netd/main.js. */
  script: string;
  namespace: string;
  socket: string;
  pidFile: string;
  logFile: string;
  /** The user netd runs as; 0: the daemon's own. */
  uid: number;
  /** slirp4netns and its arguments. */
  slirp: readonly string[];
}

/** A request that netd refused; `systemCode` is that of a failed system call. */
export class NetdError extends Error {
  readonly systemCode: string | undefined;

  constructor(message: string, systemCode: string | undefined) {
    super(message);
    this.systemCode = systemCode;
  }
}

class NetdEnded extends DaemonError {
  constructor() {
    super('Unavailable', 'the network helper ended');
  }
}

export type NetdRequester = <Op extends NetdOperation>(
  op: Op,
  params: NetdOperations[Op]['params'],
) => Promise<NetdOperations[Op]['result']>;

interface Pending {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

/** That it can't start is told by its end; this is for one that hangs. */
const startTimeoutMs = 60_000;
/** How long a request waits for a netd that has ended. Node alone takes seconds to start on a busy host. */
const restartTimeoutMs = 60_000;
const retryMs = 25;

export class NetdClient {
  readonly #paths: NetdPaths;
  /** Tells a netd that has just been connected to what to serve, before anyone else may ask it. */
  readonly #synchronize: (request: NetdRequester) => Promise<void>;
  readonly #prepare: () => Promise<unknown>;
  #socket: Socket | undefined;
  #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;
  /** True from the end of `start` on: only then does a lost connection start it anew. */
  #steady = false;
  #egress = false;
  #egressWaiters: (() => void)[] = [];
  #steadyWaiters: (() => void)[] = [];

  /** `prepare` sees to it that netd finds its namespace, before each start. */
  constructor(
    paths: NetdPaths,
    synchronize: (request: NetdRequester) => Promise<void>,
    prepare: () => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#paths = paths;
    this.#synchronize = synchronize;
    this.#prepare = prepare;
  }

  get egress(): boolean {
    return this.#egress;
  }

  /** Connects to netd, starting it if it does not run. Rejects if that fails. */
  async start(): Promise<void> {
    this.#closed = false;
    this.#steady = false;
    const found = await this.#tryConnect();
    if (!found || !(await this.#isCurrent())) {
      await this.#stopHost();
      await this.#prepare();
      await this.#spawnAndConnect();
      await this.#isCurrent();
    }
    await this.#synchronize((op, params) => this.#send(op, params));
    this.#steady = true;
    for (const waiter of this.#steadyWaiters.splice(0)) waiter();
    if (this.#socket === undefined) void this.#comeBack(); // it was lost since
  }

  /** Disconnects. With `end` netd, its ports and the egress are ended too. */
  async close(options: { end: boolean }): Promise<void> {
    this.#closed = true;
    this.#socket?.destroy();
    if (options.end) await this.#stopHost();
  }

  /** Resolves true when the egress is connected, false after `timeoutMs`. */
  async waitForEgress(timeoutMs: number): Promise<boolean> {
    if (this.#egress) return true;
    await settlesWithin(new Promise<void>((resolve) => this.#egressWaiters.push(resolve)), timeoutMs);
    return this.#egress;
  }

  /**
   * Waits for a netd that is being started anew, and asks that one if the request was lost with the former. Rejects with
   * NetdError, or Unavailable if it does not come back.
   */
  readonly request: NetdRequester = async (op, params) => {
    await this.#untilSteady();
    try {
      return await this.#send(op, params);
    } catch (error) {
      if (!(error instanceof NetdEnded) || this.#closed) throw error;
      await this.#untilSteady();
      return this.#send(op, params);
    }
  };

  async #untilSteady(): Promise<void> {
    if (this.#steady) return;
    await settlesWithin(new Promise<void>((resolve) => this.#steadyWaiters.push(resolve)), restartTimeoutMs);
  }

  #send<Op extends NetdOperation>(
    op: Op,
    params: NetdOperations[Op]['params'],
  ): Promise<NetdOperations[Op]['result']> {
    const socket = this.#socket;
    if (socket === undefined) {
      return Promise.reject(new DaemonError('Unavailable', 'the network helper does not run'));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // netd answers an operation with its result: protocol.ts
      this.#pending.set(id, { resolve: (result) => resolve(result as NetdOperations[Op]['result']), reject });
      socket.write(`${JSON.stringify({ id, op, params })}\n`);
    });
  }

  async #isCurrent(): Promise<boolean> {
    const status = await this.#send('hello', {});
    this.#setEgress(status.egress);
    if (status.version !== netdProtocolVersion) return false;
    if (this.#hasSameEgress()) return true;
    if (status.ports.length === 0) return false;
    log.warn(
      "the way to the host's localhost changes when no port is published any more and the daemon starts",
      {
        ports: status.ports.length,
      },
    );
    return true;
  }

  /** False for a netd-host that an earlier daemon has started, whose options said otherwise of the host's loopback. */
  #hasSameEgress(): boolean {
    const pid = this.#hostPid();
    if (pid === undefined) return true;
    const has = commandLineOf(pid).includes(`--slirp=${withoutHostLoopback}`);
    return has === this.#paths.slirp.includes(withoutHostLoopback);
  }

  #tryConnect(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.#paths.socket);
      socket.once('error', () => resolve(false));
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        this.#use(socket);
        resolve(true);
      });
    });
  }

  #use(socket: Socket): void {
    this.#socket = socket;
    socket.unref(); // nothing waits for netd but requests, and those have their callers
    socket.on('error', (error) => log.warn('network helper: connection failed', { error: error.message }));
    socket.pipe(split2()).on('data', (line: string) => this.#received(line));
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      // first, so that who is told to ask again waits for the new one
      if (this.#steady && !this.#closed) void this.#comeBack();
      const pending = [...this.#pending.values()];
      this.#pending.clear();
      for (const { reject } of pending) reject(new NetdEnded());
    });
  }

  /** netd-host starts netd anew by itself; the control socket is netd-host's and stays. */
  async #comeBack(): Promise<void> {
    this.#steady = false;
    log.warn('network helper ended; reconnecting');
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        await this.start();
        log.info('network helper is back');
        return;
      } catch (error) {
        log.error('network helper does not start', { error: errorMessage(error) });
        await sleep(Math.min(50 * 2 ** attempt, 30_000));
      }
    }
  }

  #received(line: string): void {
    const message = JSON.parse(line) as NetdReply; // netd wrote it: protocol.ts
    if ('event' in message) {
      this.#setEgress(message.egress);
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ('error' in message) pending?.reject(new NetdError(message.error.message, message.error.code));
    else pending?.resolve(message.result);
  }

  #setEgress(egress: boolean): void {
    if (this.#egress && !egress) log.warn('egress is down');
    this.#egress = egress;
    if (!egress) return;
    for (const waiter of this.#egressWaiters.splice(0)) waiter();
  }

  async #spawnAndConnect(): Promise<void> {
    const { hostBinary, portsBinary, script, namespace, socket, pidFile, logFile, uid, slirp } = this.#paths;
    if (existsSync(logFile)) renameSync(logFile, `${logFile}.1`);
    const output = openSync(logFile, 'a', 0o600);
    const args = [
      ...['--netns', namespace, '--socket', socket, '--pid-file', pidFile, '--ports', portsBinary],
      ...(uid === 0 ? [] : ['--user', String(uid), '--group', String(uid)]),
      ...slirp.map((argument) => `--slirp=${argument}`),
      ...['--', process.execPath, '--max-semi-space-size=4', script],
    ];
    const child = spawn(hostBinary, args, {
      stdio: ['ignore', output, output],
      detached: true,
      env: helperEnvironment(),
    });
    closeSync(output);
    child.unref();
    const failure = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(`ended with ${signal ?? `status ${code ?? ''}`}`));
    });
    const deadline = Date.now() + startTimeoutMs;
    let failed: string | undefined;
    void failure.then((reason) => (failed = reason));
    while (!(await this.#tryConnect())) {
      if (failed !== undefined || Date.now() > deadline) {
        throw new DaemonError(
          'Unavailable',
          `cannot start the network helper ${hostBinary}: ${failed ?? 'no answer'} (see ${logFile})`,
        );
      }
      await sleep(retryMs);
    }
  }

  /** Ends a netd-host of this run directory, if there is one. */
  async #stopHost(): Promise<void> {
    this.#socket?.destroy();
    const pid = this.#hostPid();
    if (pid === undefined) return;
    process.kill(pid, 'SIGTERM');
    const deadline = Date.now() + startTimeoutMs;
    while (this.#hostPid() === pid) {
      if (Date.now() > deadline) process.kill(pid, 'SIGKILL');
      await sleep(retryMs);
    }
  }

  /** The pid in the file, if it is (still) a netd-host of this namespace. */
  #hostPid(): number | undefined {
    try {
      const pid = Number(readFileSync(this.#paths.pidFile, 'utf8').trim());
      const commandLine = commandLineOf(pid);
      return commandLine.includes(this.#paths.pidFile) && commandLine.includes('--pid-file')
        ? pid
        : undefined;
    } catch {
      return undefined; // no file, or no such process
    }
  }
}

/** Throws if there is no such process. */
function commandLineOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
}
