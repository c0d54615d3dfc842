// What tells something has --format, for programs; what only does something has not.

import { Command } from 'commander';
import { addClientCommands } from '../../../src/cli/client';
import { addInstallationCommands } from '../../../src/cli/installation';
import { addKubernetesCommands } from '../../../src/cli/kubernetes';
import { addVersionCommand } from '../../../src/cli/version';

const program = new Command('caisson');
addInstallationCommands(program, () => Promise.resolve());
addKubernetesCommands(program);
addVersionCommand(program);
addClientCommands(
  program,
  () => undefined,
  () => Promise.resolve(),
);

function commandsOf(command: Command, path: readonly string[] = []): { path: string; has: boolean }[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .flatMap((one) => {
      const name = [...path, one.name()];
      if (one.name() === 'help') return [];
      if (one.commands.length > 0) return commandsOf(one, name);
      return [{ path: name.join(' '), has: one.options.some(({ long }) => long === '--format') }];
    });
}

it('is there wherever something is told (doctor and prepare, which take the daemon’s options, have it too)', () => {
  const told = commandsOf(program).flatMap(({ path, has }) => (has ? [path] : []));
  expect(told.sort()).toEqual([
    ...['context', 'info', 'ls', 'plays', 'pod inspect', 'pod ls', 'pod stats', 'top', 'version'],
    ...['vm inspect', 'vm ls'],
  ]);
});
