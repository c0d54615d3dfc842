// Binds of unix sockets: what of the host they stand for.

import { realpath, stat } from 'node:fs/promises';

/** Where clients expect Docker's socket: a bind of one of these is a bind of our own. */
const dockerSockets: readonly string[] = ['/var/run/docker.sock', '/run/docker.sock'];

/** The first unix socket that the API listens on. */
export function apiSocketPath(hosts: readonly string[]): string | undefined {
  return hosts.find((host) => host.startsWith('unix://'))?.slice('unix://'.length);
}

/** Where connections to a bind of `source` go. Docker's socket is ours; DOCKER_HOST tells of one more name for it. */
function destinationOf(source: string, apiSocket: string | undefined): string {
  const ofEnvironment = process.env['DOCKER_HOST'] ?? '';
  const docker = dockerSockets.includes(source) || `unix://${source}` === ofEnvironment;
  return docker && apiSocket !== undefined ? apiSocket : source;
}

/** The socket that a bind of `source` stands for, with owner and mode as on the host; undefined when it is none. */
export async function socketBehind(
  source: string,
  apiSocket: string | undefined,
): Promise<{ path: string; mode: number; uid: number; gid: number } | undefined> {
  const path = destinationOf(source, apiSocket);
  try {
    const stats = await stat(path);
    if (!stats.isSocket()) return undefined;
    return { path: await realpath(path), mode: stats.mode & 0o777, uid: stats.uid, gid: stats.gid };
  } catch {
    return undefined;
  }
}
