// ContainerTop: the guest's ps, with only the container's processes left.

import type { ContainerTopResponse } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import { AgentError } from '../vm/agent/agent-error';
import { eventAttributes } from './container-record';
import type { Container } from './container-registry';
import { withGuest } from './container-stop';
import type { Engine } from './engine';

const defaultPsArgs = '-ef';

/** Queues by itself. */
export async function containerTop(
  engine: Engine,
  container: Container,
  psArgs: string,
): Promise<ContainerTopResponse> {
  const text = psArgs === '' ? defaultPsArgs : psArgs;
  const renamed = /\s+(\S*)=\s*(PID\S*)/i.exec(text);
  if (renamed !== null) {
    throw new DaemonError('Internal', `specifying "${renamed[1] ?? ''}=${renamed[2] ?? ''}" is not allowed`);
  }
  const answer = await container.operations.run(() =>
    withGuest(engine, container, async (pod) => {
      try {
        return await pod.vm.agent.request('container.top', {
          id: container.id,
          psArgs: text.split(/\s+/).filter((word) => word !== ''),
        });
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        throw new DaemonError('Internal', error.failure.message, { cause: error });
      }
    }),
  );
  const response = parsePs(answer.output, new Set(answer.pids));
  engine.events.publish('container', 'top', container.id, eventAttributes(container.record));
  return response;
}

/** The lines of `pids`. Throws Internal, as Docker does, when ps shows no PID. */
export function parsePs(output: string, pids: ReadonlySet<number>): ContainerTopResponse {
  const [head = '', ...lines] = output.split('\n');
  const titles = head.split(/\s+/).filter((word) => word !== '');
  const pidColumn = titles.indexOf('PID');
  if (pidColumn < 0) throw new DaemonError('Internal', "Couldn't find PID field in ps output");
  const processes: string[][] = [];
  let lastIsOurs = false;
  for (const line of lines) {
    const words = line.split(/\s+/).filter((word) => word !== '');
    if (words.length === 0) continue;
    const pid = words[pidColumn] ?? '';
    // A thread's line, which `-m` shows, has no pid of its own.
    if (pid !== '-') {
      if (!/^\d+$/.test(pid)) {
        throw new DaemonError(
          'Internal',
          `Unexpected pid '${pid}': strconv.Atoi: parsing "${pid}": invalid syntax`,
        );
      }
      lastIsOurs = pids.has(Number(pid));
    }
    if (!lastIsOurs) continue;
    const last = titles.length - 1;
    processes.push([...words.slice(0, last), words.slice(last).join(' ')]);
  }
  return { Titles: titles, Processes: processes };
}
