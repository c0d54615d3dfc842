// `caisson pod …`.

import { InvalidArgumentError, Option, type Command } from 'commander';
import type {
  PodInspect,
  PodStartReply,
  PodStats,
  PodStopReply,
  PodSummary,
  PodWaitReply,
} from '../../api/v1/types';
import { binarySize } from '../../go/size-text';
import type { ApiClient } from './api-client';
import { addFormat, eachOf, type ClientAction } from './command';
import { ago, print, shortId, table, write, type Format } from './output';
import { readPodFile } from './pod-file';
import { containerOf, createPod, podOf, podPath, removePod, type PodOptions } from './pod-making';
import { attach, runExec, showLogs, type ExecOptions, type LogsOptions } from './streams';
import { addWorkloadOptions, collect } from './workload-options';

/** Adds `pod` and what is below it. `action` wraps what a command does. */
export function addPodCommands(program: Command, action: ClientAction): void {
  const pod = program
    .command('pod')
    .description('Pods: containers that share a virtual machine')
    .enablePositionalOptions();

  addPodSource(pod.command('run', { isDefault: true }).description('make a Pod and start it'))
    .option('--vm <id>', 'on this idle VM')
    .option('-a, --attach', 'stay attached; exit as its container does')
    .action(action(runPod));

  addPodSource(pod.command('create').description('make a Pod, and no more')).action(
    action(async (client, options: PodOptions, image: string | undefined, command: string[]) => {
      const { name } = await createPod(client, await podOf(options, image, command));
      write(`${name}\n`);
    }),
  );

  pod
    .command('start')
    .description('start Pods that do not run')
    .argument('<pod...>')
    .option('--vm <id>', 'on this idle VM')
    .action(
      action(async (client, { vm }: { vm?: string }, pods: string[]) =>
        eachOf(pods, async (ref) => {
          await client.call<PodStartReply>('POST', podPath(ref, 'start'), {
            body: vm === undefined ? {} : { vmId: vm },
          });
          write(`${ref}\n`);
        }),
      ),
    );

  pod
    .command('stop')
    .description('stop Pods')
    .argument('<pod...>')
    .option('-t, --time <seconds>', 'until they are killed', seconds)
    .option('--keep-vm', 'keep the VM, idle; its id is printed')
    .action(
      action(async (client, { time, keepVm = false }: { time?: number; keepVm?: boolean }, pods: string[]) =>
        eachOf(pods, async (ref) => {
          const reply = await client.call<PodStopReply | undefined>('POST', podPath(ref, 'stop'), {
            body: { keepVm, ...(time === undefined ? {} : { timeoutSeconds: time }) },
          });
          if (keepVm && reply?.keptVmId === undefined) {
            throw new Error(`${ref} is stopped, but there is no VM that could be kept`);
          }
          write(`${reply?.keptVmId ?? ref}\n`);
        }),
      ),
    );

  pod
    .command('replace')
    .description('stop a Pod, and start another one on its VM')
    .argument('<old>', 'a Pod that runs')
    .argument('[new]', 'a Pod that does not')
    .option('-f, --file <path>', 'a Pod that is made of this file; "-": of standard input')
    .option('-t, --time <seconds>', 'until the old one is killed', seconds)
    .option('--keep-address', 'the new one gets the addresses of the old one')
    .action(
      action(
        async (
          client,
          { file, time, keepAddress = false }: { file?: string; time?: number; keepAddress?: boolean },
          old: string,
          next: string | undefined,
        ) => {
          if ((next === undefined) === (file === undefined)) {
            throw new Error('name the new Pod, or a file of it with --file');
          }
          const made = file === undefined ? undefined : await createPod(client, await readPodFile(file));
          try {
            await client.call<PodStartReply>('POST', podPath(old, 'replace'), {
              body: {
                keepAddress,
                pod: made?.id ?? next,
                ...(time === undefined ? {} : { timeoutSeconds: time }),
              },
            });
          } catch (error) {
            if (made !== undefined) await removePod(client, made.id);
            throw error;
          }
          write(`${made?.name ?? next ?? ''}\n`);
        },
      ),
    );

  pod
    .command('attach')
    .description("attach to a Pod's container; exit as that does")
    .argument('<pod>')
    .option('-c, --container <name>', 'which one, of several')
    .option('--no-stdin', 'output only')
    .action(
      action(async (client, options: { container?: string; stdin: boolean }, ref: string) => {
        const container = client.docker.getContainer(await containerOf(client, ref, options.container));
        const { Config } = await container.inspect();
        const { done } = await attach(client, container, {
          tty: Config.Tty,
          stdin: options.stdin && Config.OpenStdin,
        });
        await done;
        const { StatusCode } = (await container.wait()) as { StatusCode: number };
        return StatusCode;
      }),
    );

  pod
    .command('exec')
    .description('run a command in a container of a Pod; exit as that does')
    .argument('<pod>')
    .argument('<command...>')
    .option('-c, --container <name>', 'which one, of several')
    .option('-d, --detach', 'do not wait for it')
    .option('-t, --tty', 'give it a terminal')
    .option('-i, --interactive', 'our standard input is its own')
    .option('-e, --env <NAME=value>', 'set a variable; may be repeated', collect)
    .option('-w, --workdir <path>', 'working directory')
    .option('-u, --user <user[:group]>', 'who runs it')
    .option('--privileged', 'all rights inside the VM')
    .passThroughOptions()
    .action(
      action(async (client, options: ExecOptions & { container?: string }, ref: string, command: string[]) =>
        runExec(client, await containerOf(client, ref, options.container), command, options),
      ),
    );

  pod
    .command('rm')
    .description('remove Pods')
    .argument('<pod...>')
    .option('-f, --force', 'also those that run')
    .option('-v, --volumes', 'their anonymous volumes too')
    .action(
      action(async (client, query: { force?: boolean; volumes?: boolean }, pods: string[]) =>
        eachOf(pods, async (ref) => {
          await client.call('DELETE', podPath(ref), { query });
          write(`${ref}\n`);
        }),
      ),
    );

  pod
    .command('logs')
    .description("show the output of a Pod's container")
    .argument('<pod>')
    .option('-c, --container <name>', 'which one, of several')
    .option('-f, --follow', 'go on with what it writes')
    .option('-t, --timestamps', 'with the time of each line')
    .option('--tail <lines>', 'only the last ones')
    .option('--since <time>', 'a time, or a duration before now')
    .option('--until <time>', 'a time, or a duration before now')
    .action(
      action(async (client, { container, ...options }: LogsOptions & { container?: string }, ref: string) =>
        showLogs(client, await containerOf(client, ref, container), options),
      ),
    );

  addFormat(
    pod.command('inspect').description('all there is to know of Pods').argument('<pod...>'),
    'json',
  ).action(
    action(async (client, { format }: { format: Format }, pods: string[]) => {
      const found = await Promise.all(pods.map((ref) => client.call<PodInspect>('GET', podPath(ref))));
      print(format, found, () => podTable(found));
    }),
  );

  addFormat(
    pod
      .command('ls')
      .alias('list')
      .description('list Pods, Docker containers among them')
      .option('-q, --quiet', 'names only')
      .option('-r, --running', 'only those that run')
      .option('-l, --label <name[=value]>', 'only those with this label; may be repeated', collect),
  ).action(
    action(
      async (client, options: { format: Format; quiet?: boolean; running?: boolean; label?: string[] }) => {
        const all = await client.call<PodSummary[]>('GET', '/v1/pods', { query: { label: options.label } });
        const shown = options.running === true ? all.filter(({ state }) => state === 'Running') : all;
        if (options.quiet === true) write(shown.map(({ name }) => `${name}\n`).join(''));
        else print(options.format, shown, () => podTable(shown));
      },
    ),
  );

  for (const verb of ['pause', 'unpause'] as const) {
    pod
      .command(verb)
      .description(verb === 'pause' ? 'freeze Pods' : 'let paused Pods go on')
      .argument('<pod...>')
      .action(
        action(async (client, _options: object, pods: string[]) =>
          eachOf(pods, async (ref) => {
            await client.call('POST', podPath(ref, verb));
            write(`${ref}\n`);
          }),
        ),
      );
  }

  pod
    .command('wait')
    .description('wait for the end of Pods; print their exit codes')
    .argument('<pod...>')
    .action(
      action(async (client, _options: object, pods: string[]) =>
        eachOf(pods, async (ref) => {
          const { exitCode } = await client.call<PodWaitReply>('POST', podPath(ref, 'wait'));
          write(`${exitCode}\n`);
        }),
      ),
    );

  addFormat(
    pod
      .command('stats')
      .description('what a Pod uses')
      .argument('<pod>')
      .option('--no-stream', 'one sample only'),
  ).action(
    action(async (client, options: { format: Format; stream: boolean }, ref: string) => {
      const stream = await client.stream(podPath(ref, 'stats'), { stream: options.stream });
      let rest = '';
      for await (const chunk of stream) {
        const lines = `${rest}${String(chunk)}`.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const sample = JSON.parse(line) as PodStats; // one object a line
          print(options.format, sample, () => statsTable(sample));
        }
      }
    }),
  );
}

function addPodSource(command: Command): Command {
  return addWorkloadOptions(
    command
      .argument('[image]', 'of its one container')
      .argument('[command...]')
      .option('-f, --file <path>', 'a Pod file instead; "-": standard input')
      .option('--keep-vm', 'keep its VM, idle, when it ends')
      .passThroughOptions(),
  ).addOption(new Option('-d, --detach', 'the default').hideHelp());
}

async function runPod(
  client: ApiClient,
  options: PodOptions & { vm?: string; attach?: boolean },
  image: string | undefined,
  command: string[],
): Promise<number> {
  const { id, name } = await createPod(client, await podOf(options, image, command));
  try {
    const start = (): Promise<PodStartReply> =>
      client.call<PodStartReply>('POST', podPath(id, 'start'), {
        body: options.vm === undefined ? {} : { vmId: options.vm },
      });
    if (options.attach !== true) {
      await start();
      write(`${name}\n`);
      return 0;
    }
    const container = client.docker.getContainer(await containerOf(client, id, undefined));
    const { Config } = await container.inspect();
    const { done } = await attach(client, container, { tty: Config.Tty, stdin: Config.OpenStdin });
    const ended = client.call<PodWaitReply>('POST', podPath(id, 'wait'));
    ended.catch(() => undefined);
    await start();
    await done;
    const { exitCode } = await waitFor(client, id, ended);
    // The daemon removes it by itself; whoever asked for that finds nothing left once the command has ended.
    if (options.rm === true) await removePod(client, id);
    return exitCode;
  } catch (error) {
    // As a start that fails leaves a Pod, one whose `run` fails does not.
    await removePod(client, id);
    throw error;
  }
}

/** The wait that began before the start was for a Pod that did not run: it may have been over at once. */
async function waitFor(client: ApiClient, id: string, early: Promise<PodWaitReply>): Promise<PodWaitReply> {
  return client.call<PodWaitReply>('POST', podPath(id, 'wait')).catch(() => early);
}

export function podTable(pods: readonly PodSummary[]): string {
  return table(
    ['POD ID', 'NAME', 'STATE', 'DETAIL', 'VM', 'ADDRESS', 'CONTAINERS', 'CREATED'],
    pods.map((pod) => [
      shortId(pod.id),
      pod.name,
      pod.state,
      pod.detail,
      pod.vmId ?? '',
      [...new Set(Object.values(pod.addresses).map(({ ipv4Address }) => ipv4Address))].join(','),
      pod.containers.map(({ name, status }) => `${name} (${status})`).join(', '),
      ago(pod.createdAt),
    ]),
  );
}

function statsTable({ containers }: PodStats): string {
  return table(
    ['CONTAINER', 'CPU TIME', 'MEMORY', 'PIDS'],
    containers.map(({ name, stats }) => {
      // Docker's; of a container that has just ended it may be empty.
      const {
        cpu_stats: cpu,
        memory_stats: memory,
        pids_stats: pids,
      } = stats as {
        cpu_stats?: { cpu_usage?: { total_usage?: number } };
        memory_stats?: { usage?: number };
        pids_stats?: { current?: number };
      };
      return [
        name,
        `${((cpu?.cpu_usage?.total_usage ?? 0) / 1e9).toFixed(2)}s`,
        binarySize(memory?.usage ?? 0),
        String(pids?.current ?? 0),
      ];
    }),
  );
}

function seconds(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('It is no number of seconds.');
  return Number(text);
}
