// Docker's own commands, which caisson has not: each says where it is.

import type { Command } from 'commander';

/** What is the Pod's or the VM's counterpart. */
const counterparts: Readonly<Record<string, string>> = {
  attach: 'pod attach',
  create: 'pod create',
  exec: 'pod exec',
  inspect: 'pod inspect',
  kill: 'pod kill',
  logs: 'pod logs',
  pause: 'pod pause',
  ps: 'ls',
  restart: 'pod restart',
  rm: 'pod rm',
  start: 'pod start',
  stats: 'pod stats',
  stop: 'pod stop',
  top: 'pod top',
  unpause: 'pod unpause',
  wait: 'pod wait',
};
const others =
  'build builder buildx checkpoint commit compose config container context cp diff events export history image images import load ' +
  'login logout manifest network port push rename rmi save search system tag update volume';

/** Adds those that are none of the program's; `-H` and the like are left to docker. */
export function addDockerVerbs(program: Command, fail: (error: Error, code: number) => void): void {
  const known = new Set(program.commands.flatMap((command) => [command.name(), ...command.aliases()]));
  const paths = new Set(
    program.commands.flatMap((command) => command.commands.map((sub) => `${command.name()} ${sub.name()}`)),
  );
  for (const name of [...Object.keys(counterparts), ...others.split(' ')]) {
    if (known.has(name)) continue;
    program
      .command(name, { hidden: true })
      .argument('[words...]')
      .allowUnknownOption()
      .helpOption(false)
      .action((words: readonly string[]) => {
        const own = counterparts[name];
        const isThere = own !== undefined && (paths.has(own) || known.has(own));
        const hint = isThere ? `; of Pods: caisson ${own}` : '';
        const line = ['docker --context caisson', name, ...words].join(' ');
        fail(new Error(`"${name}" is docker's: ${line}${hint}`), 1);
      });
  }
}
