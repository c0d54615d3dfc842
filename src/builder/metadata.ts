// Instructions that only change the configuration of the image: what they make of it, and their comment in history.

import { posix } from 'node:path';
import { DaemonError } from '../errors';
import type { BuildStage } from './stage';
import { goDuration } from '../go/duration';
import { goList, goQuoteCharacter, goQuoteList } from '../go/format';
import { goQuote } from '../go/quote';
import type { ImageRunConfig } from '../docker/image-config';
import { exposedPorts } from '../dockerfile/image-changes';
import { parseSignal } from '../translate/signals';
import type { Command, CommandLine } from '../dockerfile/instructions';

export type MetadataCommand = Exclude<Command, { kind: 'add' | 'copy' | 'run' | 'workdir' | 'arg' }>;

/** Changes the stage; returns the comment. `note` tells the client something. */
export function applyMetadata(
  stage: BuildStage,
  command: MetadataCommand,
  note: (text: string) => void,
): string {
  const config = stage.runConfig;
  switch (command.kind) {
    case 'env': {
      const env = [...(config.Env ?? [])];
      for (const { key, value } of command.pairs) {
        const at = env.findIndex((entry) => entry.split('=', 1)[0] === key);
        if (at >= 0) env[at] = `${key}=${value}`;
        else env.push(`${key}=${value}`);
      }
      config.Env = env;
      return `ENV${command.pairs.map(({ key, value }) => ` ${key}=${value}`).join('')}`;
    }
    case 'label': {
      config.Labels = {
        ...config.Labels,
        ...Object.fromEntries(command.pairs.map(({ key, value }) => [key, value])),
      };
      return `LABEL${command.pairs.map(({ key, value }) => ` ${key}=${value}`).join('')}`;
    }
    case 'maintainer':
      stage.maintainer = command.maintainer;
      return `MAINTAINER ${command.maintainer}`;
    case 'onbuild':
      config.OnBuild = [...(config.OnBuild ?? []), command.trigger];
      return `ONBUILD ${command.trigger}`;
    case 'cmd':
      config.Cmd = resolveCommand(stage, command.command);
      if (command.command.words?.length !== 0) stage.cmdSet = true;
      return `CMD ${goQuoteList(config.Cmd ?? [])}`;
    case 'entrypoint':
      config.Entrypoint = resolveCommand(stage, command.command);
      if (!stage.cmdSet) config.Cmd = null;
      return `ENTRYPOINT ${goQuoteList(config.Entrypoint ?? [])}`;
    case 'healthcheck': {
      const before = config.Healthcheck?.Test ?? [];
      if (before.length > 0 && before[0] !== 'NONE') {
        note(`Note: overriding previous HEALTHCHECK: ${goList(before)}\n`);
      }
      config.Healthcheck = command.healthcheck;
      return `HEALTHCHECK ${goQuoteHealthcheck(command.healthcheck)}`;
    }
    case 'expose': {
      const ports = command.ports.flatMap(exposedPorts);
      config.ExposedPorts = {
        ...config.ExposedPorts,
        ...Object.fromEntries(ports.map((port) => [port, {}])),
      };
      return `EXPOSE ${command.ports.join(' ')}`;
    }
    case 'user':
      config.User = command.user;
      return `USER ${command.user}`;
    case 'volume':
      if (command.paths.includes('')) {
        throw new DaemonError('Internal', 'VOLUME specified can not be an empty string');
      }
      config.Volumes = {
        ...config.Volumes,
        ...Object.fromEntries(command.paths.map((path) => [path, {}])),
      };
      return `VOLUME ${goList(command.paths)}`;
    case 'stopsignal':
      parseSignal(command.signal); // throws for what is none
      config.StopSignal = command.signal;
      return `STOPSIGNAL ${command.signal}`;
    case 'shell':
      config.Shell = command.shell;
      return `SHELL ${goList(command.shell)}`;
  }
}

/** The words as they are executed: the image's shell before a command that was not given as JSON. */
export function resolveCommand(stage: BuildStage, { words, usesShell }: CommandLine): string[] | null {
  if (words === undefined) return null;
  return usesShell ? [...stage.shell, ...words] : words;
}

export function workingDirectory(current: string | undefined, path: string): string {
  if (path === '') throw new DaemonError('Internal', 'cannot normalize nothing');
  return path.startsWith('/') ? path : posix.join('/', current ?? '', path).replace(/(.)\/$/, '$1');
}

/** `%q` of a pointer to a HealthConfig: durations with their units, the count as a character. */
function goQuoteHealthcheck(check: NonNullable<ImageRunConfig['Healthcheck']>): string {
  const { Test = [], Interval = 0, Timeout = 0, StartPeriod = 0, Retries = 0 } = check;
  const durations = [Interval, Timeout, StartPeriod].map((value) => goQuote(goDuration(value)));
  return `&{${[goQuoteList(Test), ...durations, goQuoteCharacter(Retries)].join(' ')}}`;
}
