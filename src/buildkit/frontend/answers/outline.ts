// `--call outline`: what the build of a target takes: arguments, secrets, agents, caches.

import { programOf, type Build } from '../conversion/build';
import { readMount } from '../syntax/mounts';
import { buildErrorOf } from '../text/problem';
import { expandWord } from '../words/expand';
import { variablesOf } from '../words/variables';
import type { Program } from '../stages/program';
import { locationOf, table, type Answer } from './answer';

interface OutlinedArg {
  readonly name: string;
  readonly description: string;
  readonly value: string;
  readonly location: object;
}

interface Needed {
  readonly required: boolean;
  readonly location: object;
}

export function outlineAnswer(build: Build): Promise<Answer> {
  const { info, native, options } = build;
  const [platform = native] = options.platforms ?? [];
  const program = programOf(build, platform);
  try {
    return Promise.resolve(outline(program, info.data));
  } catch (error) {
    throw buildErrorOf(error, info);
  }
}

function outline(program: Program, data: Buffer): Answer {
  const { heads, dockerfile, target } = program;
  const order = program.order([target], (index) => {
    const head = heads[index];
    if (head === undefined) return [];
    const origins = [head.base, ...program.origins(head.stage.instructions, index)];
    return origins.flatMap((origin) => (origin.kind === 'stage' ? [origin.index] : []));
  });
  const stages = order.flatMap((index) => heads[index]?.stage ?? []);
  const secrets = new Map<string, Needed>();
  const agents = new Map<string, Needed>();
  const caches = new Map<string, object>();
  for (const instruction of stages.flatMap(({ instructions }) => instructions)) {
    if (instruction.kind !== 'run') continue;
    const location = locationOf(instruction.statement.lines);
    for (const { text } of instruction.mounts) {
      const mount = readMount(text, undefined);
      const need = { required: mount.isRequired, location };
      const name = mount.id === '' ? mount.target.replace(/^.*\//, '') : mount.id;
      if (mount.type === 'secret') secrets.set(name, need);
      if (mount.type === 'ssh') agents.set(mount.id === '' ? 'default' : mount.id, need);
      if (mount.type === 'cache') caches.set(mount.id === '' ? mount.target : mount.id, location);
    }
  }
  const args = argsOf(
    program,
    stages.map(({ index }) => index),
  );
  const stage = dockerfile.stages[target];
  const json = {
    ...(stage?.name === undefined || stage.name === '' ? {} : { name: stage.name }),
    ...(stage?.description === undefined || stage.description === ''
      ? {}
      : { description: stage.description }),
    args: args.map(({ name, description, value, location }) => ({
      name,
      ...(description === '' ? {} : { description }),
      ...(value === '' ? {} : { value }),
      location,
    })),
    secrets: [...secrets].map(([name, { required, location }]) => ({
      name,
      ...(required ? { required } : {}),
      location,
    })),
    ssh: [...agents].map(([name, { required, location }]) => ({
      name,
      ...(required ? { required } : {}),
      location,
    })),
    cache: [...caches].map(([ID, location]) => ({ ID, location })),
    sources: [data.toString('base64')],
  };
  const sections = [
    stage?.name ? `TARGET:      ${stage.name}\n` : '',
    stage?.description ? `DESCRIPTION: ${stage.description}\n` : '',
    section([
      ['BUILD ARG', 'VALUE', 'DESCRIPTION'],
      ...args.map((arg) => [arg.name, arg.value, arg.description]),
    ]),
    section([
      ['SECRET', 'REQUIRED'],
      ...[...secrets].map(([name, { required }]) => [name, String(required)]),
    ]),
    section([['SSH', 'REQUIRED'], ...[...agents].map(([name, { required }]) => [name, String(required)])]),
    section([['CACHE'], ...[...caches.keys()].map((name) => [name])]),
  ];
  return { json, text: sections.filter((text) => text !== '').join('\n') };
}

function section(rows: readonly (readonly string[])[]): string {
  return rows.length < 2 ? '' : table(rows);
}

/** Those of the file's head that somebody uses, and those of the stages. Later ones of a name replace earlier ones. */
function argsOf(program: Program, stages: readonly number[]): OutlinedArg[] {
  const { dockerfile, globals, settings } = program;
  const found = new Map<string, OutlinedArg>();
  for (const { args, statement } of dockerfile.globalArgs) {
    for (const { name, description } of args)
      found.set(name, {
        name,
        description,
        value: globals.get(name) ?? '',
        location: locationOf(statement.lines),
      });
  }
  for (const index of stages) {
    for (const instruction of dockerfile.stages[index]?.instructions ?? []) {
      if (instruction.kind !== 'arg') continue;
      for (const { name, value, description } of instruction.args) {
        const before = found.get(name);
        const { text } = expandWord(value ?? '', variablesOf(globals), {
          escape: dockerfile.escape,
          keepsUnset: true,
        });
        const chosen =
          settings.options.buildArgs.get(name) ?? (value === undefined ? globals.get(name) : text);
        if (isAutomatic(name) && before === undefined) continue;
        found.set(name, {
          name,
          description: description === '' ? (before?.description ?? '') : description,
          value: chosen ?? before?.value ?? '',
          location: locationOf(instruction.statement.lines),
        });
      }
    }
  }
  return [...found.values()];
}

function isAutomatic(name: string): boolean {
  return /^(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT|STAGE)$/.test(name);
}
