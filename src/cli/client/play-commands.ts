// `caisson play` and `caisson down`, which without a file is the daemon's end.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { PlayReply, WorkloadStatus } from '../../api/v1/types';
import { addFormat, type ClientAction } from './command';
import { print, table, write, type Format } from './output';
import { readStandardInput } from './standard-input';

interface DownOptions {
  volumes?: boolean;
  force?: boolean;
  containers?: boolean;
}

export function addPlayCommands(
  program: Command,
  action: ClientAction,
  endDaemon: (options: { containers: boolean }) => Promise<void>,
): void {
  program
    .command('play')
    .description('make Pods of Kubernetes manifests and keep them running')
    .argument('<file>', 'YAML or JSON; - for standard input')
    .option('--replace', 'take down first what the file names')
    .option('--start <boolean>', 'false: make the Pods only', 'true')
    .action(
      action(
        async (client, { replace = false, start }: { replace?: boolean; start: string }, file: string) => {
          const text = await readText(file);
          const reply = await client.call<PlayReply>('POST', '/v1/play', { query: { replace, start }, text });
          for (const warning of reply.warnings) process.stderr.write(`Warning: ${warning}\n`);
          for (const { pods } of reply.workloads) write(pods.map(({ name }) => `${name}\n`).join(''));
        },
      ),
    );

  program
    .command('down')
    .description(
      'stop the daemon that up has started; with a file: stop and remove what its manifests have made',
    )
    .argument('[file]', 'as given to play')
    .option('--volumes', 'with a file: the volumes of its claims too')
    .option('--force', 'with a file: without a grace period')
    .option('--containers', 'without a file: stop containers first; else they go on')
    .action(
      action(
        async (
          client,
          { volumes = false, force = false, containers = false }: DownOptions,
          file: string | undefined,
        ) => {
          if (file === undefined) {
            if (volumes || force) throw new Error('--volumes and --force are for a file of manifests');
            await endDaemon({ containers });
            return;
          }
          if (containers) throw new Error('--containers is for the end of the daemon, without a file');
          await client.call('POST', '/v1/down', { query: { volumes, force }, text: await readText(file) });
        },
      ),
    );

  addFormat(program.command('plays').description('what was played, and how its Pods are')).action(
    action(async (client, { format }: { format: Format }) => {
      const workloads = await client.call<WorkloadStatus[]>('GET', '/v1/play');
      print(format, workloads, () => statusTable(workloads));
    }),
  );
}

function statusTable(workloads: readonly WorkloadStatus[]): string {
  return table(
    ['WORKLOAD', 'STATE', 'POD', 'PHASE', 'READY', 'RESTARTS', 'REASON'],
    workloads.flatMap(({ kind, name, state, reason, pods }) =>
      pods.map((pod) => [
        `${kind}/${name}`,
        state,
        pod.name,
        pod.phase,
        `${pod.containers.filter(({ ready }) => ready).length}/${pod.containers.length}`,
        String(pod.containers.reduce((sum, { restartCount }) => sum + restartCount, 0)),
        reason,
      ]),
    ),
  );
}

async function readText(file: string): Promise<string> {
  return file === '-' ? readStandardInput() : readFile(file, 'utf8');
}
