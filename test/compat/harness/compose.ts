// Compose of both generations, as far as this machine has them.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { projectDir } from '../../support/process/project-dir';

export interface ComposeGeneration {
  name: 'Compose v1' | 'Compose v2';
  /** Shell that makes `command` available to a script. */
  setUp: string;
  command: string;
  available: boolean;
}

const plugin = join(
  projectDir,
  'build/trixie/usr/libexec/docker/cli-plugins/docker-compose', // scripts/fetch-trixie.sh
);

export const composeGenerations: readonly ComposeGeneration[] = [
  {
    name: 'Compose v1',
    setUp: `export COMPOSE_HTTP_TIMEOUT=600`,
    command: 'docker-compose --ansi never',
    available: existsSync('/usr/bin/docker-compose'),
  },
  {
    name: 'Compose v2',
    setUp: `mkdir -p $DOCKER_CONFIG/cli-plugins; ln -s ${plugin} $DOCKER_CONFIG/cli-plugins/`,
    command: 'docker compose --ansi never --progress quiet',
    available: existsSync(plugin),
  },
];

/** The one that every run takes whole; of another, most is of the long tail. */
export const newestCompose = composeGenerations.findLast(({ available }) => available)?.name;
