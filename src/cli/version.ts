// `caisson version`: what this program is. Of the daemon that runs, `caisson info` and `docker version` tell.

import type { Command } from 'commander';
import { readBuild, type Build } from '../versions';
import { addFormat } from './client/command';
import { print, type Format } from './client/output';

export function addVersionCommand(program: Command): void {
  addFormat(program.command('version').description('print version, commit and date')).action(
    ({ format }: { format: Format }) => {
      const build = readBuild();
      print(format, { ...build, node: process.versions.node }, () => versionLine(build));
    },
  );
}

/** `caisson 0.2.0, commit 0123456789ab, 2030-01-02` */
export function versionLine({ version, commit, date }: Build): string {
  const known = commit === '' ? [] : [`commit ${commit.slice(0, 12)}`];
  return `${[`caisson ${version}`, ...known, date.slice(0, 10)].join(', ')}\n`;
}
