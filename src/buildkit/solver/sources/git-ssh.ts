// Repositories by ssh: the hosts that the client knows, and its agent, behind a socket that only we can open.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BuildError } from '../../contract/errors';
import type { SessionCaller } from '../../contract/session';

export interface GitSsh {
  readonly command: string;
  readonly agentPath: string | undefined;
}

/** At once; ssh uses one. */
const maxConnections = 16;

export async function withGitSsh<T>(
  callers: readonly SessionCaller[],
  { knownHosts, agentId }: { knownHosts: string | undefined; agentId: string | undefined },
  signal: AbortSignal,
  work: (ssh: GitSsh) => Promise<T>,
): Promise<T> {
  // paths of sockets are short, so not in the data root
  const directory = await mkdtemp(join(tmpdir(), 'caisson-ssh-'));
  let agent: Agent | undefined;
  try {
    const hostsPath = join(directory, 'known_hosts');
    if (knownHosts !== undefined) await writeFile(hostsPath, knownHosts, { mode: 0o600 });
    // of the daemon's user nothing counts: no configuration, no keys, no questions
    const options = [
      '-F /dev/null',
      '-o BatchMode=yes',
      '-o IdentityFile=none',
      '-o ConnectTimeout=60',
      '-o ServerAliveInterval=60',
      `-o UserKnownHostsFile=${knownHosts === undefined ? '/dev/null' : hostsPath}`,
      `-o GlobalKnownHostsFile=/dev/null`,
      `-o StrictHostKeyChecking=${knownHosts === undefined ? 'no' : 'yes'}`,
    ];
    if (agentId !== undefined) {
      const caller = await agentCaller(callers, agentId, signal);
      agent = await Agent.listen(join(directory, 'agent'), caller, agentId);
    }
    return await work({ command: `ssh ${options.join(' ')}`, agentPath: agent?.path });
  } finally {
    agent?.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function agentCaller(
  callers: readonly SessionCaller[],
  id: string,
  signal: AbortSignal,
): Promise<SessionCaller> {
  const caller = callers.find((each) => each.supports('/moby.sshforward.v1.SSH/CheckAgent'));
  if (caller === undefined) {
    const message = `unset ssh forward key ${id === '' ? 'default' : id.slice(0, 100)}`;
    throw new BuildError('NotFound', message);
  }
  await caller.checkSshAgent(id, signal);
  return caller;
}

class Agent {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;

  private constructor(path: string, server: Server, sockets: ReadonlySet<Socket>) {
    this.path = path;
    this.#server = server;
    this.#sockets = sockets;
  }

  static async listen(path: string, caller: SessionCaller, id: string): Promise<Agent> {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      const client = caller.connectSshAgent(id);
      const cut = (): void => {
        socket.destroy();
        client.destroy();
      };
      Promise.all([pipeline(socket, client), pipeline(client, socket)]).then(cut, cut);
    });
    server.maxConnections = maxConnections;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    return new Agent(path, server, sockets);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
