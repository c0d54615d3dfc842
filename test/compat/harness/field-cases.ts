// One case for each field of a container: what inspect shows of it, and what a script inside sees of its effect.
// Fields that don't touch each other share a container; a field that differs there runs again in one of its own.

import Docker from 'dockerode';

import { socketPathOf } from '../../support/wire/http-client';
import { casesHere, defineCase, mainCases, type RunCase } from './cases';
import type { Observation } from './compare';

type Json = Record<string, unknown>;

export interface FieldCase {
  /** Part of a create body; merged with those of the group's other fields. */
  set: Json;
  /** Shell that shows the effect; no output if absent. */
  probe?: string;
  /** Paths into inspect's document; every leaf of `set` if absent. */
  inspect?: string[];
  /** In a container of its own: the field decides about the whole container, or is refused. */
  alone?: boolean;
}

interface FieldResult {
  warnings: string[] | null;
  created: unknown;
  started: unknown;
  exitCode: number | undefined;
  inspect: Json;
  /** By field. */
  output: Record<string, string>;
}

/**
 * Keys are a field, or a field and what is special: `HostConfig.Memory: too little`. What is special and wants a container
 * of its own is of the long tail, but for the cases named in `main`.
 */
export function fieldCases(
  what: string,
  allCases: Record<string, FieldCase>,
  main: readonly string[] = [],
): void {
  const group = `fields of ${what}`;
  const special = (name: string): boolean => name.includes(': ') && allCases[name]?.alone === true;
  mainCases(group, [...Object.keys(allCases).filter((name) => !special(name)), ...main]);
  const cases = Object.fromEntries(casesHere(group, allCases));
  const shared = Object.fromEntries(Object.entries(cases).filter(([, { alone }]) => alone !== true));
  const together = new Map<string, Promise<FieldResult>>();
  for (const [name, entry] of Object.entries(cases)) {
    const runCase: RunCase = async (host, caseName, byItself) => {
      const docker = new Docker({ socketPath: socketPathOf(host), version: 'v1.41' });
      if (byItself) return observe(name, entry, await run(docker, caseName, { [name]: entry }), true);
      const running = together.get(host) ?? run(docker, `${caseName}-all`, shared);
      together.set(host, running);
      return observe(name, entry, await running, false);
    };
    const options = entry.alone === true ? {} : { sharedWith: JSON.stringify(shared) };
    defineCase(group, name, JSON.stringify(entry), runCase, options);
  }
}

function observe(name: string, entry: FieldCase, result: FieldResult, alone: boolean): Observation[] {
  const paths =
    entry.inspect ??
    leaves(entry.set).map((path) => (path.startsWith('HostConfig.') ? path : `Config.${path}`));
  return [
    {
      label: name,
      value: {
        created: result.created,
        started: result.started,
        exitCode: result.exitCode,
        inspect: Object.fromEntries(paths.map((path) => [path, at(result.inspect, path)])),
        output: result.output[name],
        ...(alone && entry.alone === true ? { warnings: result.warnings } : {}),
      },
    },
  ];
}

/** Creates, starts and waits; what is refused ends it there. */
async function run(
  docker: Docker,
  containerName: string,
  cases: Record<string, FieldCase>,
): Promise<FieldResult> {
  const result: FieldResult = {
    warnings: null,
    created: 'yes',
    started: 'yes',
    exitCode: undefined,
    inspect: {},
    output: {},
  };
  const script = Object.entries(cases).map(([name, { probe }]) => `echo '@@ ${name}'\n${probe ?? 'true'}\n`);
  const body = Object.values(cases).reduce<Json>((merged, { set }) => merge(merged, set), {
    Image: 'busybox',
    Cmd: ['sh', '-c', `exec 2>&1\n${script.join('')}true`],
  });
  let container: Docker.Container;
  try {
    const reply = await docker.createContainer({ name: containerName, ...body });
    container = docker.getContainer(reply.id);
    result.warnings = (reply as unknown as { Warnings: string[] }).Warnings;
  } catch (error) {
    result.created = refusal(error);
    return result;
  }
  try {
    try {
      await container.start();
      result.exitCode = ((await container.wait()) as { StatusCode: number }).StatusCode;
    } catch (error) {
      result.started = refusal(error);
    }
    result.inspect = (await container.inspect()) as unknown as Json;
    if (result.started !== 'yes') return result;
    const tty = at(result.inspect, 'Config.Tty') === true;
    const log = await container.logs({ stdout: true, stderr: true }).catch((error: unknown) => {
      result.output = { ...result.output, [Object.keys(cases)[0] ?? '']: JSON.stringify(refusal(error)) };
      return Buffer.alloc(0);
    });
    for (const part of (tty ? log.toString() : withoutFrames(log)).split('@@ ').slice(1)) {
      const [title = '', ...lines] = part.split('\n');
      result.output[title.trim()] = lines.join('\n');
    }
    return result;
  } finally {
    await container.remove({ force: true, v: true }).catch(() => undefined);
  }
}

function refusal(error: unknown): unknown {
  const { statusCode, json, message } = error as { statusCode?: number; json?: unknown; message: string };
  return { statusCode, answer: json ?? message };
}

function withoutFrames(log: Buffer): string {
  const parts: Buffer[] = [];
  for (let offset = 0; offset + 8 <= log.length;) {
    const length = log.readUInt32BE(offset + 4);
    parts.push(log.subarray(offset + 8, offset + 8 + length));
    offset += 8 + length;
  }
  return Buffer.concat(parts).toString();
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Objects member by member, lists one after the other. */
function merge(base: Json, more: Json): Json {
  const merged = { ...base };
  for (const [name, value] of Object.entries(more)) {
    const present = merged[name];
    if (isObject(present) && isObject(value)) merged[name] = merge(present, value);
    else if (Array.isArray(present) && Array.isArray(value) && !['Cmd', 'Entrypoint'].includes(name)) {
      merged[name] = [...(present as unknown[]), ...(value as unknown[])];
    } else merged[name] = value;
  }
  return merged;
}

/** `HostConfig.Memory` and so on: two levels below HostConfig at most, since maps have keys with dots. */
function leaves(set: Json): string[] {
  return Object.entries(set).flatMap(([name, value]) =>
    name === 'HostConfig' && isObject(value)
      ? Object.keys(value).map((inner) => `HostConfig.${inner}`)
      : [name],
  );
}

function at(document: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), document);
}
