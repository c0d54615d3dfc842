// `--name=value` words of instructions.

import { DockerfileProblem } from '../text/problem';
import type { Statement } from '../text/statement';
import { didYouMean } from './suggestions';

/** What a flag takes: a text, true or false (a bare name is true), or several texts. */
export type FlagKind = 'text' | 'boolean' | 'list';

export interface Flags {
  text(name: string): string;
  list(name: string): readonly string[];
  boolean(name: string): boolean | undefined;
  /** Those that were given. */
  readonly names: ReadonlySet<string>;
}

/** Throws DockerfileProblem for what the instruction doesn't know. */
export function readFlags(statement: Statement, known: Readonly<Record<string, FlagKind>>): Flags {
  const values = new Map<string, string[]>();
  for (const flag of statement.flags) {
    const [, name = '', value] = /^--([^=]*)(?:=(.*))?$/s.exec(flag) ?? [];
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined)
      throw new DockerfileProblem(`unknown flag: ${name}${didYouMean(name, Object.keys(known))}`);
    const before = values.get(name) ?? [];
    if (before.length > 0 && kind !== 'list')
      throw new DockerfileProblem(`duplicate flag specified: ${name}`);
    if (value === undefined && kind !== 'boolean')
      throw new DockerfileProblem(`missing a value on flag: ${name}`);
    values.set(name, [...before, kind === 'boolean' ? booleanOf(name, value) : (value ?? '')]);
  }
  return {
    text: (name) => values.get(name)?.[0] ?? '',
    list: (name) => values.get(name) ?? [],
    boolean: (name) => {
      const value = values.get(name)?.[0];
      return value === undefined ? undefined : value === 'true';
    },
    names: new Set(values.keys()),
  };
}

function booleanOf(name: string, value: string | undefined): string {
  if (value === undefined || value === '') return 'true';
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === 'false') return lower;
  throw new DockerfileProblem(`expecting boolean value for flag ${name}, not: ${value}`);
}
