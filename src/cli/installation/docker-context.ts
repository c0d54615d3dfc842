// The docker context `caisson`: how the docker command is told of this engine.

import { execFile } from 'node:child_process';
import { DaemonError } from '../../errors';

export const contextName = 'caisson';

interface Outcome {
  code: number;
  output: string;
  isMissing: boolean;
}

/** With this environment: docker's configuration is the user's. */
function docker(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const environment: NodeJS.ProcessEnv = { ...process.env };
    delete environment['DOCKER_HOST']; // else the command warns that it wins
    execFile('docker', args, { encoding: 'utf8', env: environment }, (error, stdout, stderr) => {
      const isMissing = error !== null && 'code' in error && error.code === 'ENOENT';
      resolve({ code: error === null ? 0 : 1, output: (stdout + stderr).trim(), isMissing });
    });
  });
}

/** `made`, `there` (and right), `changed` (it led elsewhere), or `no docker command`. Throws what docker says. */
export async function ensureContext(
  host: string,
): Promise<'made' | 'there' | 'changed' | 'no docker command'> {
  const found = await docker('context', 'inspect', contextName, '--format', '{{.Endpoints.docker.Host}}');
  if (found.isMissing) return 'no docker command';
  if (found.code === 0 && found.output === host) return 'there';
  const isNew = found.code !== 0;
  const made = await docker(
    ...['context', isNew ? 'create' : 'update', contextName],
    ...['--description', 'a virtual machine for every container', '--docker', `host=${host}`],
  );
  if (made.code !== 0) throw new DaemonError('Internal', `docker context: ${made.output}`);
  return isNew ? 'made' : 'changed';
}

export async function useContext(): Promise<void> {
  const used = await docker('context', 'use', contextName);
  if (used.code !== 0) throw new DaemonError('Internal', `docker context use: ${used.output}`);
}
