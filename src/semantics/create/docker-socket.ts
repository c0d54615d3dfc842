// What of a host a bind of Docker's socket means: the engine that is asked, not another one that may run there.

/** Where clients expect it. */
const dockerSockets: readonly string[] = ['/var/run/docker.sock', '/run/docker.sock'];

/** Whether a bind of `source` means the engine's own socket. The daemon's DOCKER_HOST tells of one more name for it. */
export function isDockerSocket(source: string): boolean {
  return dockerSockets.includes(source) || `unix://${source}` === (process.env['DOCKER_HOST'] ?? '');
}
