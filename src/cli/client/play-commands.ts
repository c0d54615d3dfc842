// `caisson play` and `caisson down`.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { PlayReply, WorkloadStatus } from '../../api/v1/types';
import { addFormat, type ClientAction } from './command';
import { print, table, write, type Format } from './output';
import { readStandardInput } from './standard-input';

export function addPlayCommands(program: Command, action: ClientAction): void {
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
    .description('stop and remove what a file of manifests has made')
    .argument('<file>', 'as given to play')
    .option('--volumes', 'the volumes of its claims too')
    .option('--force', 'without a grace period')
    .action(
      action(
        async (
          client,
          { volumes = false, force = false }: { volumes?: boolean; force?: boolean },
          file: string,
        ) => {
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
