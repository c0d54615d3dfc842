// client/: the commands that speak to a daemon.

import { Argument, type Command } from 'commander';
import { defaultHost } from './api-client';
import { clientAction } from './command';
import { addDockerVerbs } from './docker-verbs';
import { completeCommand, completions, completionScripts } from './completion';
import { write } from './output';
import { addLoadCommand } from './load';
import { addPlayCommands } from './play-commands';
import { addPodCommands } from './pod-commands';
import { addSystemCommands } from './system-commands';
import { addTopCommand } from './top';
import { addVmCommands } from './vm-commands';

/** Ends the daemon, which is no client's doing. `containers`: these first. */
export type EndDaemon = (options: { containers: boolean }) => Promise<void>;

/** Adds them to the program. `fail`: says what went wrong and sets the exit code. */
export function addClientCommands(
  program: Command,
  fail: (error: Error, code: number) => void,
  endDaemon: EndDaemon = () => Promise.reject(new Error('there is no daemon of ours to end')),
): void {
  const others = new Set(program.commands);
  program.enablePositionalOptions();
  const action = clientAction(fail);
  addSystemCommands(program, action);
  addTopCommand(program, action);
  addLoadCommand(program, action);
  addPodCommands(program, action);
  addVmCommands(program, action);
  addPlayCommands(program, action, endDaemon);
  addHost(program, `the daemon's address (default: DOCKER_HOST, else ${defaultHost})`);
  for (const command of program.commands.filter((other) => !others.has(other))) addHostBelow(command);
  program.hook('preAction', (_program, command) => {
    if (program.opts<{ host?: string }>().host !== undefined && others.has(command)) {
      program.error(`error: --host belongs after "${command.name()}"`);
    }
  });

  addDockerVerbs(program, fail);

  const shells = Object.keys(completionScripts) as (keyof typeof completionScripts)[];
  program
    .command('completion')
    .description('print the script that completes caisson in a shell')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText('after', '\nFor bash: source <(caisson completion bash)')
    .action((shell: keyof typeof completionScripts) => write(completionScripts[shell]));
  program
    .command(completeCommand, { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .action(async (words: string[]) => {
      write((await completions(program, words)).map((word) => `${word}\n`).join(''));
    });
}

/** The address may stand anywhere. */
function addHostBelow(command: Command): void {
  if (command.commands.length === 0) addHost(command, "the daemon's address");
  for (const sub of command.commands) addHostBelow(sub);
}

function addHost(command: Command, description: string): void {
  command.option('-H, --host <address>', description);
}
