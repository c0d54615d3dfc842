// A health check's command as an exec in the container.

import type { StreamClient } from '../../api/v1.41/backend';
import { log } from '../../log';
import type { Container } from '../core/container-registry';
import type { Execs } from './exec';
import type { RunProbe } from '../../semantics/health/health-monitor';
import type { PodPlaces } from '../vms/guest-access';

const sigkill = 9;
/** More than the monitor keeps of it. */
const gatheredBytes = 8192;

/** Runs probes as `docker exec` would, with the container's own user and environment. */
export function execProbe(engine: PodPlaces, execs: Execs): RunProbe<Container> {
  return async (container, args, signal) => {
    const { Id: execId } = await execs.create(container.id, {
      Cmd: args,
      User: container.record.config.User,
      AttachStdout: true,
      AttachStderr: true,
    });
    const chunks: Buffer[] = [];
    let gathered = 0;
    const client: StreamClient = {
      stdin: undefined,
      write: (_, data) => {
        if (gathered < gatheredBytes) chunks.push(Buffer.from(data));
        gathered += data.length;
        return Promise.resolve();
      },
      signal,
    };
    const kill = (): void => killExec(engine, container, execId);
    signal.addEventListener('abort', kill, { once: true });
    try {
      await execs.start(execId, { detach: false, tty: false, rejects: true }, () => client);
    } finally {
      signal.removeEventListener('abort', kill);
    }
    const { ExitCode } = await execs.inspect(execId);
    return { exitCode: ExitCode ?? -1, output: Buffer.concat(chunks) };
  };
}

function killExec(engine: PodPlaces, container: Container, execId: string): void {
  const agent = engine.pods.of(container)?.vm.agent;
  agent?.request('process.signal', { id: execId, signal: sigkill }).catch((error: unknown) => {
    // It may have ended by itself, and the container with it.
    log.debug('health check could not be killed', { containerId: container.id, error });
  });
}
