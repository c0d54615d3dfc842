// Variables in instructions: which words of each are substituted.

import { expandWord } from './words';
import type { Command, KeyValue } from './instructions';

/** A copy of the command with the values of `env` (`NAME=value`) put in. Throws InvalidParameter in Docker's words. */
export function expandCommand(command: Command, env: readonly string[], escape: string): Command {
  const variables = variablesOf(env);
  const expand = (word: string): string => expandWord(word, variables, escape);
  const pairs = (list: readonly KeyValue[]): KeyValue[] =>
    list.map(({ key, value }) => ({ key: expand(key), value: expand(value) }));
  switch (command.kind) {
    case 'add':
    case 'copy':
      return {
        ...command,
        chown: expand(command.chown),
        sources: command.sources.map(expand),
        destination: expand(command.destination),
      };
    case 'arg':
      return {
        ...command,
        args: command.args.map(({ key, value }) => ({
          key: expand(key),
          value: value === undefined ? undefined : expand(value),
        })),
      };
    case 'env':
      return { ...command, pairs: pairs(command.pairs) };
    case 'label':
      return command.literal ? command : { ...command, pairs: pairs(command.pairs) };
    case 'expose':
      // the one place where a value may become several words
      return {
        ...command,
        ports: command.ports.flatMap((port) => expand(port).split(/\s+/).filter(Boolean)),
      };
    case 'stopsignal':
      return { ...command, signal: expand(command.signal) };
    case 'user':
      return { ...command, user: expand(command.user) };
    case 'volume':
      return { ...command, paths: command.paths.map(expand) };
    case 'workdir':
      return { ...command, path: expand(command.path) };
    case 'cmd':
    case 'entrypoint':
    case 'run':
    case 'healthcheck':
    case 'maintainer':
    case 'onbuild':
    case 'shell':
      return command;
  }
}

/** The first of two of one name counts, as in Docker's lookups. */
export function variablesOf(env: readonly string[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const entry of env) {
    const equals = entry.indexOf('=');
    const key = equals < 0 ? entry : entry.slice(0, equals);
    if (!variables.has(key)) variables.set(key, equals < 0 ? '' : entry.slice(equals + 1));
  }
  return variables;
}
