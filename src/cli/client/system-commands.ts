// `caisson info`, `ls`, `run` and `pull`.

import type { Command } from 'commander';
import type { CaissonInfo, PodSummary, VmSummary } from '../../api/v1/types';
import { binarySize } from '../../go/size-text';
import type { ApiClient } from './api-client';
import { addFormat, type ClientAction } from './command';
import { ago, print, shortId, table, write, type Format } from './output';
import { podTable } from './pod-commands';
import { pull, withImage } from './pull';
import { attach } from './streams';
import { vmTable } from './vm-commands';
import { addWorkloadOptions, dockerBody, type WorkloadOptions } from './workload-options';

export function addSystemCommands(program: Command, action: ClientAction): void {
  addFormat(program.command('info').description('the daemon, its VMs and its Pods')).action(
    action(async (client, { format }: { format: Format }) => {
      const info = await client.call<CaissonInfo>('GET', '/v1/info');
      print(format, info, () => infoTable(info, client.host));
    }),
  );

  addFormat(program.command('ls').description('VMs, Pods and containers together')).action(
    action(async (client, { format }: { format: Format }) => {
      const [vms, pods] = await Promise.all([
        client.call<VmSummary[]>('GET', '/v1/vms'),
        client.call<PodSummary[]>('GET', '/v1/pods'),
      ]);
      print(format, { vms, pods }, () => `${vmTable(vms)}\n${podTable(pods)}\n${containerTable(pods)}`);
    }),
  );

  addWorkloadOptions(
    program
      .command('run')
      .description('one container on a VM of its own; exit as it does')
      .argument('<image>')
      .argument('[command...]')
      .option('-d, --detach', 'do not attach; print its id')
      .option('--vm <id>', 'on this idle VM')
      .passThroughOptions(),
  ).action(action(runContainer));

  program
    .command('pull')
    .description('fetch images from their registries')
    .argument('<image...>')
    .action(
      action(async (client, _options: object, images: string[]) => {
        for (const image of images) {
          await pull(client, image);
          write(`${image}\n`);
        }
      }),
    );
}

async function runContainer(
  client: ApiClient,
  options: WorkloadOptions & { detach?: boolean; vm?: string },
  image: string,
  command: string[],
): Promise<number> {
  const { docker } = client;
  const { tty = false, interactive = false, detach = false, name, network = [], vm } = options;
  const body = dockerBody(image, command, options);
  const container = await withImage(client, [image], () =>
    docker.createContainer({ ...body, ...(name === undefined ? {} : { name }) } as Parameters<
      typeof docker.createContainer
    >[0]),
  );
  try {
    for (const other of network.slice(1)) {
      await docker.getNetwork(other).connect({ Container: container.id });
    }
    const start = (): Promise<unknown> =>
      client.call('POST', `/v1/pods/${container.id}/start`, { body: vm === undefined ? {} : { vmId: vm } });
    if (detach) {
      await start();
      write(`${container.id}\n`);
      return 0;
    }
    const { done } = await attach(client, container, { tty, stdin: interactive });
    const ended = container.wait({ condition: options.rm === true ? 'removed' : 'next-exit' }) as Promise<{
      StatusCode: number;
    }>;
    ended.catch(() => undefined);
    await start();
    await done;
    return (await ended).StatusCode;
  } catch (error) {
    if (options.rm === true) await container.remove({ force: true }).catch(() => undefined);
    throw error;
  }
}

function containerTable(pods: readonly PodSummary[]): string {
  return table(
    ['CONTAINER ID', 'POD', 'NAME', 'IMAGE', 'STATUS', 'STARTED'],
    pods.flatMap((pod) =>
      pod.containers.map(({ id, name, image, status, exitCode, startedAt }) => [
        shortId(id),
        pod.name,
        name,
        image,
        status === 'exited' ? `exited (${exitCode})` : status,
        startedAt.startsWith('0001-') ? '' : ago(startedAt),
      ]),
    ),
  );
}

function infoTable(info: CaissonInfo, host: string): string {
  const { accelerator, vms, pods, factory } = info;
  const size = ({ memoryBytes, cpus }: { memoryBytes: number; cpus: number }): string =>
    `${binarySize(memoryBytes)}, ${cpus} CPUs`;
  const rows: [string, string][] = [
    ['Version', info.version],
    ['Host', host],
    ['Accelerator', `${accelerator.kind} (${accelerator.reason})`],
    ['VMs', `${vms.total}: ${vms.associated} associated, ${vms.idle} idle (${vms.kept} of them kept)`],
    ['Pods', `${pods.total}: ${pods.running} running, ${pods.created} created`],
    ['Pool', `${factory.poolSize} VMs of ${size(factory.default)}`],
    ['Template', factory.template ? 'ready' : 'not made yet'],
    ...factory.templates.map((other): [string, string] => ['Template', size(other)]),
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(14)}${value}\n`).join('');
}
