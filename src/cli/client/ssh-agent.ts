// `ssh://[user@]host[:port][/path/of/the.sock]`, as docker speaks it: every connection is an ssh command of the user's own, with
// his keys and configuration, that runs `docker system dial-stdio` over there.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { Agent } from 'node:http';
import { Duplex, type Readable, type Writable } from 'node:stream';

const maxComplaintBytes = 4096;

/** What of ssh and of the command there went wrong. */
export class SshError extends Error {}

/** The arguments of ssh. `socket`: where the daemon listens there unless the address says so. Throws for what is no such address. */
export function sshArguments(address: string, socket: string): string[] {
  const refuse = (reason: string): never => {
    throw new SshError(`invalid address ${address}: ${reason}`);
  };
  const form = 'it should be ssh://[user@]host[:port][/path/of/the/socket]';
  if (!URL.canParse(address)) refuse(form);
  const { protocol, username, password, hostname, port, pathname, search, hash } = new URL(address);
  if (protocol !== 'ssh:' || hostname === '') refuse(form);
  if (password !== '') refuse('plain-text password is not supported');
  if (search !== '' || hash !== '') refuse('nothing may follow the path');
  const path = pathname === '' || pathname === '/' ? socket : decodeURIComponent(pathname);
  return [
    ...(username === '' ? [] : ['-l', decodeURIComponent(username)]),
    ...(port === '' ? [] : ['-p', port]),
    '--',
    hostname.replace(/^\[(.*)\]$/, '$1'),
    `docker --host ${quoted(`unix://${path}`)} system dial-stdio`,
  ];
}

/** For the shell there. */
function quoted(text: string): string {
  return /^[\w/:.@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Connections through ssh, one for each request. */
export class SshAgent extends Agent {
  readonly #arguments: readonly string[];

  constructor(address: string, socket: string) {
    super({ keepAlive: false });
    this.#arguments = sshArguments(address, socket);
  }

  override createConnection(): Duplex {
    return new SshConnection(this.#arguments);
  }
}

/** Looks like a socket to Node's HTTP client. */
class SshConnection extends Duplex {
  readonly #ssh: ChildProcessByStdio<Writable, Readable, Readable>;

  constructor(args: readonly string[]) {
    super({ allowHalfOpen: true });
    const ssh = spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'], env: process.env });
    this.#ssh = ssh;
    let complaint = '';
    let answered = false;
    ssh.stderr.on(
      'data',
      (data: Buffer) => (complaint = (complaint + data.toString()).slice(-maxComplaintBytes)),
    );
    ssh.stdin.on('error', () => undefined); // its exit follows
    ssh.stdout.on('data', (data: Buffer) => {
      answered = true;
      if (!this.push(data)) ssh.stdout.pause();
    });
    ssh.once('error', (error) => this.destroy(new SshError(`ssh cannot be run: ${error.message}`)));
    ssh.once('close', (code) => {
      if (answered || code === 0) this.push(null);
      else this.destroy(new SshError(failureText(args, code, complaint)));
    });
  }

  override _read(): void {
    this.#ssh.stdout.resume();
  }

  override _write(data: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#ssh.stdin.write(data, encoding, (error) => done(this.destroyed ? null : error));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#ssh.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#ssh.kill();
    done(error);
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    this.#ssh.ref();
    return this;
  }

  unref(): this {
    this.#ssh.unref();
    return this;
  }
}

function failureText(args: readonly string[], code: number | null, complaint: string): string {
  const said = complaint.trim() === '' ? '' : `: ${complaint.trim()}`;
  return (
    `"ssh ${args.join(' ')}" ended with ${code === null ? 'a signal' : String(code)}${said}; ` +
    'is the address right, and is the docker command there?'
  );
}
