// The manual page caisson(8), made of what the commands say of themselves: there is no second text to keep in step.

import type { Argument, Command, Option } from 'commander';
import { readBuild, type Build } from '../versions';
import { daemonOptions } from './daemon-options';

/** Named by packaging/deb/build.sh; not for people. */
export const manPageCommand = '__man';

export function addManPage(program: Command): void {
  program
    .command(manPageCommand, { hidden: true })
    .action(() => void process.stdout.write(manPage(program, readBuild())));
}

const description = `A container engine that speaks Docker's API and gives every container a virtual machine of its own. The docker command, SDKs
and whatever else talks to a Docker socket work as they are; the commands below are for what docker has not.`;

const files: readonly (readonly [path: string, what: string])[] = [
  ['/etc/caisson/daemon.json', 'options of the daemon; kill -HUP reads it again'],
  ['/run/caisson/caisson.sock', "the API, for root and the socket's group"],
  ['/var/lib/caisson', 'images, containers, volumes, templates'],
  [
    '/var/log/caisson.log',
    'the log of a daemon that caisson up has started; that of the service is in the journal',
  ],
];

const environment: readonly (readonly [name: string, what: string])[] = [
  ['DOCKER_HOST', "the daemon's address, where --host is not given"],
  ['DOCKER_CONFIG', "the directory of docker's configuration, for credentials of registries"],
  ['NO_COLOR', 'no colours, whatever the terminal can'],
];

/** In roff's language of man pages. */
export function manPage(program: Command, { version, date }: Build): string {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).filter((command) => command.name() !== 'help');
  return [
    `.TH CAISSON 8 ${date.slice(0, 10)} "Caisson ${version}" "System administration"`,
    '.SH NAME',
    'caisson \\- container engine with a virtual machine for every container',
    '.SH SYNOPSIS',
    '.B caisson',
    '[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]',
    '.SH DESCRIPTION',
    text(description.replaceAll('\n', ' ')),
    '.SH COMMANDS',
    ...commands.flatMap((command) => commandPart(program, command, command.name())),
    '.SH CONFIGURATION FILE',
    text('A JSON object. Its keys are those of dockerd where dockerd has them:'),
    ...daemonOptions.flatMap((option) => tagged(option.key, option.description)),
    '.SH FILES',
    ...files.flatMap(([path, what]) => tagged(path, what)),
    '.SH ENVIRONMENT',
    ...environment.flatMap(([name, what]) => tagged(name, what)),
    '.SH EXIT STATUS',
    text(
      '0 if what was asked is done, else 1. caisson run ends as its container does, with 125 if the daemon could not run it.',
    ),
    '.SH SEE ALSO',
    '.BR docker (1),',
    '.BR qemu\\-system\\-x86_64 (1)',
    '',
  ].join('\n');
}

function commandPart(program: Command, command: Command, path: string): string[] {
  const help = program.createHelp();
  const below = help.visibleCommands(command).filter((sub) => sub.name() !== 'help');
  const args = command.registeredArguments.map(argumentText).join(' ');
  const options = help.visibleOptions(command).filter(({ long }) => long !== '--help');
  return [
    `.SS "${escaped(`${path}${args === '' ? '' : ` ${args}`}`)}"`,
    text(sentence(command.description())),
    // the daemon's are told once: doctor and prepare have the same
    ...(path === 'doctor' || path === 'prepare'
      ? [text('Its other options are those of caisson daemon.')]
      : options.flatMap((option) => tagged(option.flags, optionText(option)))),
    ...below.flatMap((sub) => commandPart(program, sub, `${path} ${sub.name()}`)),
  ];
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function optionText({ description: what, argChoices }: Option): string {
  return argChoices === undefined ? what : `${what}: ${argChoices.join(', ')}`;
}

function tagged(tag: string, what: string): string[] {
  return ['.TP', `.B ${escaped(tag)}`, text(what)];
}

function sentence(words: string): string {
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}.`;
}

/** A line that begins with neither of roff's control characters. */
function text(words: string): string {
  return escaped(words).replace(/^([.'])/, '\\&$1');
}

function escaped(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga');
}
