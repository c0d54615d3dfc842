// `ssh://[user@]host[:port][/path/of/the.sock]`, as docker speaks it: every connection is an ssh command of the user's own, with
// his keys and configuration, that runs `docker system dial-stdio` over there.

import { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import { ProgramConnection } from '../../host/program-connection';

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
    const args = this.#arguments;
    return new ProgramConnection('ssh', args, (reason) => new SshError(failureText(args, reason)));
  }
}

function failureText(args: readonly string[], reason: string): string {
  return `"ssh ${args.join(' ')}" ${reason}; is the address right, and is the docker command there?`;
}
