// A program for one platform into the graph and the configuration of its image: which stages are needed, what they begin with, what
// they do.

import { posix } from 'node:path';
import { BuildError } from '../../contract/errors';
import type { SourceInfo } from '../../messages/ops';
import type { Platform } from '../../contract/llb';
import { pathIgnorer } from '../contexts/ignore';
import type { External, Externals } from '../contexts/externals';
import { isSamePlatform, platformText } from '../options/platforms';
import { copiedPaths, copyOutput, workdirOutput } from '../graph/copy-step';
import type { GraphWriter, Output } from '../graph/graph-writer';
import { runOutput } from '../graph/run-step';
import { ImageState } from '../image/image-state';
import { interpretStage } from '../stages/interpreter';
import type { Origin, StagePlan, Step } from '../stages/plan';
import type { Program, StageHead } from '../stages/program';
import type { Instruction } from '../syntax/instruction';
import { parseTrigger } from '../syntax/read-dockerfile';
import { buildErrorOf, withLines } from '../text/problem';
import type { Lines } from '../text/statement';

export interface ConversionParts {
  readonly externals: Externals;
  readonly writer: GraphWriter;
  readonly info: SourceInfo;
  readonly capabilities: ReadonlySet<string>;
  /** Files of the main context: those under the paths. */
  readonly context: (paths: readonly string[] | 'all') => Promise<Output | undefined>;
  /** Of `.dockerignore`. */
  readonly ignored: readonly string[];
  readonly isMultiPlatform: boolean;
  /** Images that can't be had are as empty ones: nothing will be built. */
  readonly onlyChecks: boolean;
  readonly signal: AbortSignal;
}

export interface Converted {
  readonly output: Output | undefined;
  readonly image: ImageState;
  /** What an SBOM is to be of besides, by names. */
  readonly scanned: ReadonlyMap<string, Output>;
  /** Of the image that all of it goes on from. */
  readonly baseConfig: Buffer | undefined;
}

/** Images and named contexts of one platform. */
const maxExternals = 500;

/** What is read of a context: paths, or all of it. */
type Paths = Set<string> | 'all';

export class Conversion {
  readonly #program: Program;
  readonly #parts: ConversionParts;
  /** Of stages, what their bases carry for them. */
  readonly #triggers = new Map<number, readonly Instruction[]>();
  readonly #externals = new Map<string, External>();
  readonly #isIgnored: (path: string) => boolean;

  constructor(program: Program, parts: ConversionParts) {
    this.#program = program;
    this.#parts = parts;
    this.#isIgnored = pathIgnorer(parts.ignored);
  }

  /** Rejects with BuildError. `roots` are stages that are wanted besides the target, for their checks alone. */
  async run({ roots = [] }: { roots?: readonly number[] } = {}): Promise<Converted> {
    try {
      const plans = await this.#plans([this.#program.target, ...roots]);
      return await this.#emit(plans);
    } catch (error) {
      throw buildErrorOf(error, this.#parts.info);
    }
  }

  /** Each needed stage, after those it needs. Begins anew when a base's triggers need what isn't there yet. */
  async #plans(roots: readonly number[]): Promise<ReadonlyMap<number, StagePlan>> {
    for (;;) {
      this.#parts.signal.throwIfAborted();
      // circles are told of from the first stage on
      const order = this.#program.order(this.#reached(roots), (index) => this.#needs(index));
      await this.#resolveAll(order);
      const plans = this.#interpretAll(order);
      if (plans !== undefined) return plans;
    }
  }

  /** Everything that these need, and they themselves, in the order of the file. */
  #reached(roots: readonly number[]): number[] {
    const reached = new Set<number>();
    const todo = [...roots];
    for (let index = todo.pop(); index !== undefined; index = todo.pop()) {
      if (reached.has(index)) continue;
      reached.add(index);
      todo.push(...this.#needs(index));
    }
    return [...reached].sort((a, b) => a - b);
  }

  #needs(index: number): number[] {
    const head = this.#program.heads[index];
    if (head === undefined) return [];
    const origins = [head.base, ...this.#origins(index)];
    return origins.flatMap((origin) => (origin.kind === 'stage' ? [origin.index] : []));
  }

  #origins(index: number): Origin[] {
    const head = this.#program.heads[index];
    if (head === undefined || head.isReplaced) return [];
    const own = this.#program.origins(head.stage.instructions, index);
    return [...own, ...this.#program.origins(this.#triggers.get(index) ?? [], index)];
  }

  async #resolveAll(order: readonly number[]): Promise<void> {
    const { info, externals } = this.#parts;
    const wanted = new Map<string, { name: string; platform: Platform; lines: Lines }>();
    for (const index of order) {
      const head = this.#program.heads[index];
      if (head === undefined) continue;
      const { platform } = head;
      const { lines } = head.stage.statement;
      for (const origin of [head.base, ...this.#origins(index)]) {
        if (origin.kind !== 'external') continue;
        const key = externalKey(origin.name, platform);
        if (!wanted.has(key))
          wanted.set(key, { name: origin.name, platform, lines: this.#linesOf(origin.name, index) ?? lines });
      }
    }
    if (wanted.size > maxExternals)
      throw new BuildError('ResourceExhausted', `more than ${maxExternals} images and contexts`);
    await Promise.all(
      [...wanted].map(async ([key, { name, platform, lines }]) => {
        try {
          this.#externals.set(key, await externals.resolve(name, platform));
        } catch (error) {
          this.#parts.signal.throwIfAborted();
          if (this.#parts.onlyChecks && error instanceof BuildError) {
            this.#externals.set(key, { shown: name, image: undefined, files: () => undefined });
            return;
          }
          if (error instanceof BuildError && error.details.length === 0) throw withLines(error, lines, info);
          throw error;
        }
      }),
    );
  }

  /** Of the instruction that copies or mounts from an image. */
  #linesOf(name: string, index: number): Lines | undefined {
    const head = this.#program.heads[index];
    if (head === undefined || (head.base.kind === 'external' && head.base.name === name)) return undefined;
    const user = head.stage.instructions.find(
      (instruction) =>
        (instruction.kind === 'run' && instruction.mounts.some(({ from }) => from === name)) ||
        (instruction.kind === 'copy' && instruction.from === name),
    );
    return user?.statement.lines;
  }

  /** Undefined where a base carries triggers that need another stage or image. */
  #interpretAll(order: readonly number[]): ReadonlyMap<number, StagePlan> | undefined {
    const plans = new Map<number, StagePlan>();
    let isComplete = true;
    for (const index of order) {
      const head = this.#program.heads[index];
      if (head === undefined) continue;
      const external =
        head.base.kind === 'external' ? this.#external(head.base.name, head.platform) : undefined;
      const image = this.#baseImage(head.base, head.platform, plans, external);
      const { lines } = head.stage.statement;
      if (external?.image !== undefined)
        this.#comparePlatforms(head, { ...head.platform, ...external.image.platform });
      if (!this.#triggers.has(index)) {
        const { escape } = this.#program.dockerfile;
        const triggers = (image.config.OnBuild ?? []).map((text) => parseTrigger(text, escape, lines));
        this.#triggers.set(index, triggers);
        const isNew = (origin: Origin): boolean =>
          (origin.kind === 'stage' && !plans.has(origin.index)) ||
          (origin.kind === 'external' && !this.#externals.has(externalKey(origin.name, head.platform)));
        if (this.#program.origins(triggers, index).some(isNew)) isComplete = false;
      }
      if (!isComplete) continue;
      // they are for those who build on it
      if (!head.isReplaced) delete image.config.OnBuild;
      const instructions = head.isReplaced
        ? []
        : [...(this.#triggers.get(index) ?? []), ...head.stage.instructions];
      plans.set(
        index,
        interpretStage(this.#program, {
          head,
          instructions,
          image,
          baseScope: head.base.kind === 'stage' ? plans.get(head.base.index)?.scope : undefined,
          baseName: external?.shown ?? '',
          isIgnored: this.#isIgnored,
          showsPlatform: this.#showsPlatform(head.platform),
        }),
      );
    }
    return isComplete ? plans : undefined;
  }

  #comparePlatforms({ stage, platform }: StageHead, actual: Platform): void {
    if (actual.OS === platform.OS && actual.Architecture === platform.Architecture) return;
    this.#program.settings.linter.report(
      'InvalidBaseImagePlatform',
      stage.statement.lines,
      `Base image ${stage.base} was pulled with platform "${platformText(actual)}", expected "${platformText(platform)}" for current build`,
    );
  }

  #showsPlatform(platform: Platform): boolean {
    const { target } = this.#program.settings.platforms;
    return this.#parts.isMultiPlatform || !isSamePlatform(platform, target);
  }

  #baseImage(
    base: StagePlan['base'],
    platform: Platform,
    plans: ReadonlyMap<number, StagePlan>,
    external: External | undefined,
  ): ImageState {
    const before = base.kind === 'stage' ? plans.get(base.index)?.image : external?.image;
    return before?.copy() ?? ImageState.empty(platform);
  }

  #external(name: string, platform: Platform): External {
    const external = this.#externals.get(externalKey(name, platform));
    if (external === undefined) throw new BuildError('Internal', `${name} was not resolved`);
    return external;
  }

  async #emit(plans: ReadonlyMap<number, StagePlan>): Promise<Converted> {
    const target = plans.get(this.#program.target);
    if (target === undefined) throw new BuildError('Internal', 'the target has no plan');
    const paths = this.#readPaths(plans);
    const contextPathsRead = paths.get('');
    const context =
      contextPathsRead === undefined ? undefined : await this.#parts.context(followPaths(contextPathsRead));
    const { writer, capabilities } = this.#parts;
    const outputs = new Map<number, Output | undefined>();
    /** What is there after a stage; written when somebody first needs it, so that equal things are named as BuildKit names them. */
    const outputOf = (index: number): Output | undefined => {
      const plan = plans.get(index);
      if (plan === undefined || outputs.has(index)) return outputs.get(index);
      const filesOf = (origin: Origin): Output | undefined =>
        this.#filesOf(origin, plan.platform, { context, paths, outputOf });
      let output = this.#baseOutput(plan, filesOf, paths);
      for (const step of plan.steps) {
        output = stepOutput(step, output, {
          writer,
          filesOf,
          capabilities,
          cacheNamespace: this.#cacheNamespace,
        });
      }
      outputs.set(index, output);
      return output;
    };
    const output = outputOf(this.#program.target);
    const image = target.image;
    const { labels } = this.#program.settings.options;
    if (labels.size > 0) image.config.Labels = { ...image.config.Labels, ...Object.fromEntries(labels) };
    image.setPlatform(target.platform);
    const scanned = new Map<string, Output>();
    const note = (name: string, made: Output | undefined): void => {
      if (made !== undefined) scanned.set(name, made);
    };
    if (target.scans.context) note('context', context ?? (await this.#parts.context('all')));
    for (const [index, { scans }] of plans) {
      if (scans.stage && index !== this.#program.target) note(this.#program.titleOf(index), outputOf(index));
    }
    return { output, image, scanned, baseConfig: this.#baseConfig(plans) };
  }

  #filesOf(
    origin: Origin,
    platform: Platform,
    given: {
      context: Output | undefined;
      paths: ReadonlyMap<string, Paths>;
      outputOf: (index: number) => Output | undefined;
    },
  ): Output | undefined {
    switch (origin.kind) {
      case 'scratch':
        return undefined;
      case 'context':
        return given.context;
      case 'stage':
        return given.outputOf(origin.index);
      case 'external': {
        const external = this.#external(origin.name, platform);
        const read = followPaths(given.paths.get(externalKey(origin.name, platform)) ?? 'all');
        return external.files(this.#parts.writer, read, {
          name: `FROM ${external.shown}`,
          description: [['com.docker.dockerfile.v1.command', '']],
        });
      }
    }
  }

  #baseConfig(plans: ReadonlyMap<number, StagePlan>): Buffer | undefined {
    let plan = plans.get(this.#program.target);
    while (plan?.base.kind === 'stage') plan = plans.get(plan.base.index);
    return plan?.base.kind === 'external' ? this.#external(plan.base.name, plan.platform).config : undefined;
  }

  get #cacheNamespace(): string {
    return this.#program.settings.options.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '';
  }

  #baseOutput(
    plan: StagePlan,
    filesOf: (origin: Origin) => Output | undefined,
    paths: ReadonlyMap<string, Paths>,
  ): Output | undefined {
    const { base, baseTitle, baseCommand, baseLines, platform } = plan;
    if (base.kind !== 'external') return filesOf(base);
    const read = followPaths(paths.get(externalKey(base.name, platform)) ?? 'all');
    return this.#external(base.name, platform).files(this.#parts.writer, read, {
      name: baseTitle,
      lines: [baseLines],
      description: [['com.docker.dockerfile.v1.command', baseCommand]],
    });
  }

  /** What of each context is read: '' is the main one. */
  #readPaths(plans: ReadonlyMap<number, StagePlan>): Map<string, Paths> {
    const all = new Map<string, Paths>();
    const read = (origin: Origin, platform: Platform, path: string): void => {
      if (origin.kind !== 'context' && origin.kind !== 'external') return;
      const key = origin.kind === 'context' ? '' : externalKey(origin.name, platform);
      const before = all.get(key) ?? new Set<string>();
      if (before === 'all' || path === '/' || path === '') all.set(key, 'all');
      else all.set(key, before.add(path));
    };
    for (const { base, platform, steps } of plans.values()) {
      if (base.kind === 'external') read(base, platform, '/');
      for (const step of steps) for (const { origin, path } of readsOf(step)) read(origin, platform, path);
    }
    return all;
  }
}

function readsOf(step: Step): { origin: Origin; path: string }[] {
  switch (step.kind) {
    case 'workdir':
      return [];
    case 'run':
      return step.mounts.map(({ origin, source }) => ({ origin, path: source }));
    case 'copy':
      return copiedPaths(step);
  }
}

function stepOutput(
  step: Step,
  root: Output | undefined,
  around: Parameters<typeof runOutput>[2] & Parameters<typeof copyOutput>[2],
): Output {
  switch (step.kind) {
    case 'run':
      return runOutput(step, root, around);
    case 'copy':
      return copyOutput(step, root, around);
    case 'workdir':
      return workdirOutput(step, root, around.writer);
  }
}

/** As clients are asked for them: relative, in order. */
function followPaths(paths: Paths): readonly string[] | 'all' {
  if (paths === 'all') return 'all';
  return [...paths].map((path) => posix.normalize(path).replace(/^\/+|\/+$/g, '')).toSorted();
}

function externalKey(name: string, platform: Platform): string {
  return `${name} ${platformText(platform)}`;
}
