// A Dockerfile with what was given to its build: global arguments, what each stage begins with, who needs whom. Nothing is asked of
// anybody yet.

import { isDaemonError } from '../../../errors';
import { goQuote } from '../../../go/quote';
import { parseReference } from '../../../registry/reference';
import { readPlatform } from '../options/platforms';
import type { BuildOptions } from '../options/build-options';
import type { Platform } from '../../contract/llb';
import type { Linter } from '../lint/linter';
import type { Dockerfile, Instruction, Stage } from '../syntax/instruction';
import { nearest } from '../syntax/suggestions';
import { atLines, DockerfileProblem } from '../text/problem';
import { expandWord } from '../words/expand';
import { variablesOf, type Variables } from '../words/variables';
import { automaticArgs, isPredefined, type PlatformPair } from './automatic-args';
import type { Base, Origin } from './plan';

/** A stage with its FROM worked out. */
export interface StageHead {
  readonly stage: Stage;
  readonly base: Base;
  readonly platform: Platform;
  /** A context of its name stands in for all of it. */
  readonly isReplaced: boolean;
}

export interface ProgramSettings {
  readonly options: BuildOptions;
  readonly platforms: PlatformPair;
  /** Names for which the client gave a context. */
  readonly hasContext: (name: string) => boolean;
  readonly linter: Linter;
}

const maxDepth = 500;

export class Program {
  readonly dockerfile: Dockerfile;
  readonly settings: ProgramSettings;
  readonly heads: readonly StageHead[];
  /** What stages that declare one of these get. */
  readonly globals: ReadonlyMap<string, string>;
  readonly target: number;
  /** Globals where the client gives nothing. */
  readonly #defaults: ReadonlyMap<string, string>;

  /** Throws DockerfileProblem in BuildKit's words. */
  constructor(dockerfile: Dockerfile, settings: ProgramSettings) {
    this.dockerfile = dockerfile;
    this.settings = settings;
    const { target } = settings.options;
    this.globals = this.#globals(settings.options.buildArgs);
    this.#defaults = this.#globals(new Map());
    const heads: StageHead[] = [];
    for (const stage of dockerfile.stages)
      heads.push(atLines(stage.statement.lines, () => this.#head(stage, heads)));
    this.heads = heads;
    this.target = target === '' ? dockerfile.stages.length - 1 : this.#targetIndex(target);
  }

  /** Where `COPY --from=` or a mount's `from=` leads. Throws DockerfileProblem. */
  originOf(name: string, user: number): Origin {
    const index = this.#indexOf(name, user) ?? this.#numbered(name);
    if (index !== undefined && index >= this.dockerfile.stages.length)
      throw new DockerfileProblem(`invalid stage index ${index}`);
    if (index !== undefined) return { kind: 'stage', index };
    // an image of that name would be none
    if (name.toLowerCase() === 'scratch' && !this.settings.hasContext('scratch')) return { kind: 'scratch' };
    return { kind: 'external', name };
  }

  /** The same for who is about to use it: a stage has to be there before. Throws DockerfileProblem. */
  usableOrigin(name: string, user: number): Origin {
    const origin = this.originOf(name, user);
    if (origin.kind === 'stage' && origin.index > user) {
      throw new DockerfileProblem(
        `cannot copy from stage ${goQuote(name)}, it needs to be defined before current stage ${goQuote(this.titleOf(user))}`,
      );
    }
    return origin;
  }

  /** What the instructions of a stage copy or mount from. */
  origins(instructions: readonly Instruction[], user: number): Origin[] {
    return instructions.flatMap((instruction) =>
      atLines(instruction.statement.lines, () => {
        const froms =
          instruction.kind === 'run'
            ? instruction.mounts.map(({ from }) => from)
            : instruction.kind === 'copy'
              ? [instruction.from]
              : [];
        return froms.filter((from) => from !== '').map((from) => this.originOf(from, user));
      }),
    );
  }

  /** The stages that these need, and they themselves; each after those it needs. Throws DockerfileProblem for a circle. */
  order(roots: readonly number[], needs: (index: number) => readonly number[]): number[] {
    const state = new Map<number, 'open' | 'done'>();
    const order: number[] = [];
    const visit = (index: number, depth: number): void => {
      if (state.get(index) === 'done') return;
      if (state.get(index) === 'open' || depth > maxDepth) {
        const reason =
          depth > maxDepth
            ? 'stages depend on each other too deeply'
            : `circular dependency detected on stage: ${this.titleOf(index)}`;
        throw new DockerfileProblem(reason, this.dockerfile.stages[index]?.statement.lines);
      }
      state.set(index, 'open');
      for (const needed of needs(index)) visit(needed, depth + 1);
      state.set(index, 'done');
      order.push(index);
    };
    for (const root of roots) visit(root, 0);
    return order;
  }

  /** One stage, and nothing that is copied or mounted from elsewhere: mounts of their own (caches, secrets) are as stages to BuildKit. */
  get isSingle(): boolean {
    this.#isSingle ??=
      this.heads.length === 1 &&
      !this.heads.some(
        ({ stage }) =>
          this.origins(stage.instructions, stage.index).some(({ kind }) => kind === 'external') ||
          stage.instructions.some(
            (instruction) => instruction.kind === 'run' && instruction.mounts.some(({ from }) => from === ''),
          ),
      );
    return this.#isSingle;
  }

  #isSingle: boolean | undefined;

  /** Its name, or its number. */
  labelOf(index: number): string {
    const name = this.dockerfile.stages[index]?.name ?? '';
    return name === '' ? String(index) : name;
  }

  /** As clients show it. */
  titleOf(index: number): string {
    const name = this.dockerfile.stages[index]?.name ?? '';
    return name === '' ? `stage-${index}` : name;
  }

  /** With `buildArgs`, what the client gave. */
  #globals(buildArgs: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const { options, platforms } = this.settings;
    const values = automaticArgs(platforms, options.target);
    for (const name of values.keys()) {
      const given = buildArgs.get(name);
      if (given !== undefined) values.set(name, given);
    }
    for (const { args, statement } of this.dockerfile.globalArgs) {
      for (const { name, value } of args) {
        atLines(statement.lines, () => {
          const given = buildArgs.get(name);
          const { text, unset } = this.#expand(value ?? '', variablesOf(values));
          if (given !== undefined) values.set(name, given);
          else if (value !== undefined) values.set(name, text);
          if (given === undefined) this.#reportUnset(unset, values, statement.lines);
        });
      }
    }
    return values;
  }

  #expand(word: string, variables: Variables): ReturnType<typeof expandWord> {
    return expandWord(word, variables, { escape: this.dockerfile.escape });
  }

  #reportUnset(
    unset: ReadonlySet<string>,
    values: ReadonlyMap<string, string>,
    lines: Stage['statement']['lines'],
  ): void {
    for (const name of unset) {
      if (isPredefined(name) || this.#declaresGlobally(name)) continue;
      const suggestion = nearest(name, [...values.keys()]);
      const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
      this.settings.linter.report(
        'UndefinedArgInFrom',
        lines,
        `FROM argument '${name}' is not declared${hint}`,
      );
    }
  }

  #declaresGlobally(name: string): boolean {
    return this.dockerfile.globalArgs.some(({ args }) => args.some((arg) => arg.name === name));
  }

  #head(stage: Stage, before: readonly StageHead[]): StageHead {
    const { hasContext, platforms, linter } = this.settings;
    const { lines } = stage.statement;
    const isReplaced = stage.name !== '' && hasContext(stage.name);
    const variables = variablesOf(this.globals);
    const { text: name, unset } = this.#expand(stage.base, variables);
    this.#reportUnset(unset, this.globals, lines);
    const byDefault = this.#expand(stage.base, variablesOf(this.#defaults)).text;
    if (!isReference(byDefault)) {
      linter.report(
        'InvalidDefaultArgInFrom',
        lines,
        `Default value for ARG ${stage.base} results in empty or invalid base image name`,
      );
    }
    if (name === '') throw new DockerfileProblem(`base name (${stage.base}) should not be blank`);
    const platform = this.#expand(stage.platform, variables);
    this.#reportUnset(platform.unset, this.globals, lines);
    if (/^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(stage.platform)) {
      linter.report(
        'RedundantTargetPlatform',
        lines,
        `Setting platform to predefined ${stage.platform} in FROM is redundant as this is the default behavior`,
      );
    }
    if (platform.text === '' && stage.platform !== '') {
      const [unknown] = platform.unset;
      const near = unknown === undefined ? undefined : nearest(unknown, [...this.globals.keys()]);
      const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
      throw new DockerfileProblem(`empty platform value from expression ${stage.platform}${hint}`);
    }
    const base = isReplaced
      ? { kind: 'external' as const, name: stage.name }
      : this.#baseOf(name, stage.index);
    // a stage that goes on from another is of its platform
    const inherited = (base.kind === 'stage' ? before[base.index]?.platform : undefined) ?? platforms.target;
    return { stage, base, platform: givenPlatform(platform.text) ?? inherited, isReplaced };
  }

  #baseOf(name: string, user: number): Base {
    const index = this.#indexBefore(name.toLowerCase(), user);
    if (index !== undefined && !this.settings.hasContext(name)) return { kind: 'stage', index };
    if (name === 'scratch' && !this.settings.hasContext('scratch')) return { kind: 'scratch' };
    return { kind: 'external', name };
  }

  /** The last stage of that name before the one that asks. */
  #indexBefore(name: string, user: number): number | undefined {
    const index = this.dockerfile.stages.findLastIndex((stage, at) => at < user && stage.name === name);
    return index < 0 ? undefined : index;
  }

  #indexOf(name: string, user: number): number | undefined {
    if (this.settings.hasContext(name)) return undefined;
    const lower = name.toLowerCase();
    const before = this.#indexBefore(lower, user);
    if (before !== undefined) return before;
    const index = this.dockerfile.stages.findIndex((stage) => stage.name === lower);
    return index < 0 ? undefined : index;
  }

  #numbered(name: string): number | undefined {
    if (!/^\d{1,9}$/.test(name)) return undefined;
    return Number(name);
  }

  #targetIndex(target: string): number {
    const lower = target.toLowerCase();
    const index = this.dockerfile.stages.findLastIndex((stage) => stage.name === lower);
    const found = index >= 0 ? index : this.#numbered(target);
    if (found === undefined || found >= this.dockerfile.stages.length) {
      throw new DockerfileProblem(`target stage ${goQuote(target)} could not be found`);
    }
    return found;
  }
}

function isReference(name: string): boolean {
  try {
    parseReference(name);
    return true;
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return false;
  }
}

function givenPlatform(text: string): Platform | undefined {
  if (text === '') return undefined;
  try {
    return readPlatform(text);
  } catch (error) {
    if (!(error instanceof DockerfileProblem)) throw error;
    throw new DockerfileProblem(`failed to parse platform ${text}: ${error.message}`, undefined, {
      cause: error,
    });
  }
}
