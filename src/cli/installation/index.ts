// `caisson up`, `upgrade` and `context`. `down` shares its name with that of manifests (client/play-commands.ts).

import type { Command } from 'commander';
import { addFormat } from '../client/command';
import { print, type Format } from '../client/output';
import { ensureContext, useContext } from './docker-context';
import { placesOf } from './places';
import { bringUp, type UpOptions } from './up';
import { upgrade } from './upgrade';

/** Adds them to the program. `prepare` makes the template with these options of the daemon. */
export function addInstallationCommands(program: Command, prepare: UpOptions['prepare']): void {
  program
    .command('up')
    .description('install what is missing, start the daemon, tell docker of it, run a first container')
    .argument('[daemon-options...]', 'after --: of the daemon (see caisson daemon --help)')
    .option('-y, --yes', 'install missing Debian packages without asking')
    .action((daemonArgs: string[], { yes = false }: { yes?: boolean }) =>
      bringUp({ yes, daemonArgs, prepare }),
    );

  program
    .command('upgrade')
    .description('install another version, and have its daemon take over; containers go on')
    .argument('[package]', 'a .deb or .tgz of Caisson; none: the version that is installed by now')
    .action((file: string | undefined) => upgrade(file));

  addFormat(
    program
      .command('context')
      .description('make the docker context `caisson`, or mend it')
      .option('--use', 'and make it the one that docker uses'),
  ).action(async ({ use = false, format }: { use?: boolean; format: Format }) => {
    const host = `unix://${placesOf().socket}`;
    const outcome = await ensureContext(host);
    if (outcome === 'no docker command')
      throw new Error(
        'there is no docker command: apt-get install docker.io (Debian 13: docker-cli), or see docs.docker.com',
      );
    if (use) await useContext();
    const done = { made: 'made', there: 'is there', changed: 'led elsewhere, and is mended' }[outcome];
    print(
      format,
      { context: 'caisson', host, outcome, isUsed: use },
      () => `context caisson ${done}: docker ${use ? '' : '--context caisson '}ps\n`,
    );
  });
}
