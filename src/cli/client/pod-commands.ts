// `caisson pod …`: a row for each command, and what each does.

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
import {
  containerOf,
  createPod,
  podFromFile,
  podOf,
  podPath,
  removePod,
  type PodOptions,
} from './pod-making';
import { attach, runExec, showLogs, type ExecOptions, type LogsOptions } from './streams';
import { addWorkloadOptions, collect } from './workload-options';

interface PodCommand {
  name: string;
  /** Its one line of help. */
  about: string;
  /** As commander writes them: `<pod...>`; with their line of help, where they have one. */
  takes?: readonly (string | readonly [argument: string, about: string])[];
  options?: readonly OptionRow[];
  /** It has `--format`, and this is what it shows without. */
  format?: Format;
  /** What follows its last argument is not ours to read. */
  passThrough?: boolean;
  /** It also takes what makes a Pod: an image, a file, and a container's options. */
  makesPod?: boolean;
  isDefault?: boolean;
  alias?: string;
  run: Parameters<ClientAction>[0];
}

type OptionRow = readonly [flags: string, about: string, parse?: (text: string, before: never) => unknown];

const containerOption: OptionRow = ['-c, --container <name>', 'which one, of several'];
const vmOption: OptionRow = ['--vm <id>', 'on this idle VM'];

const commands: readonly PodCommand[] = [
  {
    name: 'run',
    about: 'make a Pod and start it',
    isDefault: true,
    makesPod: true,
    options: [vmOption, ['-a, --attach', 'stay attached; exit as its container does']],
    run: runPod,
  },
  { name: 'create', about: 'make a Pod, and no more', makesPod: true, run: makePod },
  {
    name: 'start',
    about: 'start Pods that do not run',
    takes: ['<pod...>'],
    options: [vmOption],
    run: startPods,
  },
  {
    name: 'stop',
    about: 'stop Pods',
    takes: ['<pod...>'],
    options: [
      ['-t, --time <seconds>', 'until they are killed', seconds],
      ['--keep-vm', 'keep the VM, idle; its id is printed'],
    ],
    run: stopPods,
  },
  {
    name: 'replace',
    about: 'stop a Pod, and start another one on its VM',
    takes: [
      ['<old>', 'a Pod that runs'],
      ['[new]', 'a Pod that does not'],
    ],
    options: [
      ['-f, --file <path>', 'a Pod that is made of this file; "-": of standard input'],
      ['-t, --time <seconds>', 'until the old one is killed', seconds],
      ['--keep-address', 'the new one gets the addresses of the old one'],
    ],
    run: replacePod,
  },
  {
    name: 'attach',
    about: "attach to a Pod's container; exit as that does",
    takes: ['<pod>'],
    options: [containerOption, ['--no-stdin', 'output only']],
    run: attachToPod,
  },
  {
    name: 'exec',
    about: 'run a command in a container of a Pod; exit as that does',
    takes: ['<pod>', '<command...>'],
    options: [
      containerOption,
      ['-d, --detach', 'do not wait for it'],
      ['-t, --tty', 'give it a terminal'],
      ['-i, --interactive', 'our standard input is its own'],
      ['-e, --env <NAME=value>', 'set a variable; may be repeated', collect],
      ['-w, --workdir <path>', 'working directory'],
      ['-u, --user <user[:group]>', 'who runs it'],
      ['--privileged', 'all rights inside the VM'],
    ],
    passThrough: true,
    run: execInPod,
  },
  {
    name: 'rm',
    about: 'remove Pods',
    takes: ['<pod...>'],
    options: [
      ['-f, --force', 'also those that run'],
      ['-v, --volumes', 'their anonymous volumes too'],
    ],
    run: removePods,
  },
  {
    name: 'logs',
    about: "show the output of a Pod's container",
    takes: ['<pod>'],
    options: [
      containerOption,
      ['-f, --follow', 'go on with what it writes'],
      ['-t, --timestamps', 'with the time of each line'],
      ['--tail <lines>', 'only the last ones'],
      ['--since <time>', 'a time, or a duration before now'],
      ['--until <time>', 'a time, or a duration before now'],
    ],
    run: showPodLogs,
  },
  {
    name: 'inspect',
    about: 'all there is to know of Pods',
    takes: ['<pod...>'],
    format: 'json',
    run: inspectPods,
  },
  {
    name: 'ls',
    alias: 'list',
    about: 'list Pods, Docker containers among them',
    options: [
      ['-q, --quiet', 'names only'],
      ['-r, --running', 'only those that run'],
      ['-l, --label <name[=value]>', 'only those with this label; may be repeated', collect],
    ],
    format: 'table',
    run: listPods,
  },
  { name: 'pause', about: 'freeze Pods', takes: ['<pod...>'], run: pausePods },
  { name: 'unpause', about: 'let paused Pods go on', takes: ['<pod...>'], run: unpausePods },
  {
    name: 'wait',
    about: 'wait for the end of Pods; print their exit codes',
    takes: ['<pod...>'],
    run: waitForPods,
  },
  {
    name: 'stats',
    about: 'what a Pod uses',
    takes: ['<pod>'],
    options: [['--no-stream', 'one sample only']],
    format: 'table',
    run: showStats,
  },
];

/** Adds `pod` and what is below it. `action` wraps what a command does. */
export function addPodCommands(program: Command, action: ClientAction): void {
  const pod = program
    .command('pod')
    .description('Pods: containers that share a virtual machine')
    .enablePositionalOptions();
  for (const row of commands) addCommand(pod, row).action(action(row.run));
}

function addCommand(pod: Command, row: PodCommand): Command {
  const command = pod.command(row.name, { isDefault: row.isDefault === true }).description(row.about);
  if (row.alias !== undefined) command.alias(row.alias);
  if (row.makesPod === true) addPodSource(command);
  for (const argument of row.takes ?? []) {
    if (typeof argument === 'string') command.argument(argument);
    else command.argument(...argument);
  }
  for (const [flags, about, parse] of row.options ?? []) {
    const option = new Option(flags, about);
    // Commander hands each parser what it has returned before.
    if (parse !== undefined) option.argParser(parse as (text: string, before: unknown) => unknown);
    command.addOption(option);
  }
  if (row.format !== undefined) addFormat(command, row.format);
  if (row.passThrough === true) command.passThroughOptions();
  return command;
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

async function makePod(
  client: ApiClient,
  options: PodOptions,
  image: string | undefined,
  command: string[],
): Promise<void> {
  const { name } = await createPod(client, await podOf(options, image, command));
  write(`${name}\n`);
}

function startPods(client: ApiClient, { vm }: { vm?: string }, pods: string[]): Promise<void> {
  return eachOf(pods, async (ref) => {
    await client.call<PodStartReply>('POST', podPath(ref, 'start'), {
      body: vm === undefined ? {} : { vmId: vm },
    });
    write(`${ref}\n`);
  });
}

function stopPods(
  client: ApiClient,
  { time, keepVm = false }: { time?: number; keepVm?: boolean },
  pods: string[],
): Promise<void> {
  return eachOf(pods, async (ref) => {
    const reply = await client.call<PodStopReply | undefined>('POST', podPath(ref, 'stop'), {
      body: { keepVm, ...(time === undefined ? {} : { timeoutSeconds: time }) },
    });
    if (keepVm && reply?.keptVmId === undefined) {
      throw new Error(`${ref} is stopped, but there is no VM that could be kept`);
    }
    write(`${reply?.keptVmId ?? ref}\n`);
  });
}

async function replacePod(
  client: ApiClient,
  { file, time, keepAddress = false }: { file?: string; time?: number; keepAddress?: boolean },
  old: string,
  next: string | undefined,
): Promise<void> {
  if ((next === undefined) === (file === undefined)) {
    throw new Error('name the new Pod, or a file of it with --file');
  }
  const made = file === undefined ? undefined : await createPod(client, await podFromFile(file));
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
}

async function attachToPod(
  client: ApiClient,
  options: { container?: string; stdin: boolean },
  ref: string,
): Promise<number> {
  const container = client.docker.getContainer(await containerOf(client, ref, options.container));
  const { Config } = await container.inspect();
  const { done } = await attach(client, container, {
    tty: Config.Tty,
    stdin: options.stdin && Config.OpenStdin,
  });
  await done;
  const { StatusCode } = (await container.wait()) as { StatusCode: number };
  return StatusCode;
}

async function execInPod(
  client: ApiClient,
  options: ExecOptions & { container?: string },
  ref: string,
  command: string[],
): Promise<number | undefined> {
  return runExec(client, await containerOf(client, ref, options.container), command, options);
}

function removePods(
  client: ApiClient,
  query: { force?: boolean; volumes?: boolean },
  pods: string[],
): Promise<void> {
  return eachOf(pods, async (ref) => {
    await client.call('DELETE', podPath(ref), { query });
    write(`${ref}\n`);
  });
}

async function showPodLogs(
  client: ApiClient,
  { container, ...options }: LogsOptions & { container?: string },
  ref: string,
): Promise<void> {
  await showLogs(client, await containerOf(client, ref, container), options);
}

async function inspectPods(client: ApiClient, { format }: { format: Format }, pods: string[]): Promise<void> {
  const found = await Promise.all(pods.map((ref) => client.call<PodInspect>('GET', podPath(ref))));
  print(format, found, () => podTable(found));
}

async function listPods(
  client: ApiClient,
  options: { format: Format; quiet?: boolean; running?: boolean; label?: string[] },
): Promise<void> {
  const all = await client.call<PodSummary[]>('GET', '/v1/pods', { query: { label: options.label } });
  const shown = options.running === true ? all.filter(({ state }) => state === 'Running') : all;
  if (options.quiet === true) write(shown.map(({ name }) => `${name}\n`).join(''));
  else print(options.format, shown, () => podTable(shown));
}

function pausePods(client: ApiClient, _options: object, pods: string[]): Promise<void> {
  return postToEach(client, pods, 'pause');
}

function unpausePods(client: ApiClient, _options: object, pods: string[]): Promise<void> {
  return postToEach(client, pods, 'unpause');
}

function postToEach(client: ApiClient, pods: string[], verb: string): Promise<void> {
  return eachOf(pods, async (ref) => {
    await client.call('POST', podPath(ref, verb));
    write(`${ref}\n`);
  });
}

function waitForPods(client: ApiClient, _options: object, pods: string[]): Promise<void> {
  return eachOf(pods, async (ref) => {
    const { exitCode } = await client.call<PodWaitReply>('POST', podPath(ref, 'wait'));
    write(`${exitCode}\n`);
  });
}

async function showStats(
  client: ApiClient,
  options: { format: Format; stream: boolean },
  ref: string,
): Promise<void> {
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
