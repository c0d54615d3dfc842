// Binds of unix sockets: what of the host they stand for.

import { realpath, stat } from 'node:fs/promises';
import { isDockerSocket } from '../../semantics/create/docker-socket';

/** Where connections to a bind of `source` go. Docker's socket is ours. */
function destinationOf(source: string, apiSocket: string | undefined): string {
  return isDockerSocket(source) && apiSocket !== undefined ? apiSocket : source;
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
