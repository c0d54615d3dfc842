// Carries a stage's instructions out on a configuration, and notes the steps that its files need.

import { posix } from 'node:path';
import { parseGoBool } from '../../../go/bool';
import { goQuote } from '../../../go/quote';
import type { Linter } from '../lint/linter';
import type { ImageState } from '../image/image-state';
import { createdAt } from '../options/build-options';
import type { Instruction, InstructionOf, Pair } from '../syntax/instruction';
import { nearest } from '../syntax/suggestions';
import { atLines, DockerfileProblem } from '../text/problem';
import { expandWord, type ExpandOptions } from '../words/expand';
import { exposedPorts, healthcheckText, reportExpose } from './config-values';
import { CopyPlanner } from './copy-plan';
import { isPredefined, proxyArgs, scanArgs } from './automatic-args';
import type { Program } from './program';
import type { StagePlan, Step } from './plan';
import { RunPlanner } from './run-plan';
import { Scope } from './scope';
import type { StageContext, StageInput } from './stage-context';
import { stageTitles, type StageTitles } from './titles';

const stepKinds: readonly Instruction['kind'][] = ['run', 'copy', 'add', 'workdir'];

/** Throws DockerfileProblem in BuildKit's words. */
export function interpretStage(program: Program, input: StageInput): StagePlan {
  return new Interpreter(program, input).run();
}

class Interpreter implements StageContext {
  readonly program: Program;
  readonly input: StageInput;
  readonly image: ImageState;
  readonly scope: Scope;
  readonly titles: StageTitles;
  readonly linter: Linter;
  readonly ignoresCache: boolean;
  readonly #steps: Step[] = [];
  readonly #run: RunPlanner;
  readonly #copy: CopyPlanner;
  #hasAbsoluteWorkdir = false;

  constructor(program: Program, input: StageInput) {
    const { head, instructions, image } = input;
    this.program = program;
    this.input = input;
    this.image = image;
    this.linter = program.settings.linter;
    this.scope = new Scope(image, input.baseScope);
    const { noCache } = program.settings.options;
    this.ignoresCache = noCache === 'all' || noCache.has(program.labelOf(head.stage.index));
    const hasBase = head.base.kind === 'external';
    const count = instructions.filter(({ kind }) => stepKinds.includes(kind)).length + (hasBase ? 1 : 0);
    this.titles = stageTitles(head.stage, {
      isAlone: program.isSingle,
      count,
      platform: input.showsPlatform ? head.platform : undefined,
    });
    this.#run = new RunPlanner(this);
    this.#copy = new CopyPlanner(this);
  }

  run(): StagePlan {
    const { head, instructions, baseName } = this.input;
    const { hasContext } = this.program.settings;
    // a context that the client names has a title of its own, and no number among the steps
    const baseTitle =
      head.base.kind === 'external' && !hasContext(head.base.name)
        ? this.titles.next(`FROM ${baseName}`)
        : '';
    for (const instruction of instructions) {
      const step = atLines(instruction.statement.lines, () => this.#carryOut(instruction));
      if (step !== undefined) this.#steps.push(step);
    }
    return {
      base: head.base,
      platform: head.platform,
      baseTitle,
      baseCommand: head.stage.statement.original,
      baseLines: head.stage.statement.lines,
      steps: this.#steps,
      image: this.image,
      scope: this.scope,
      scans: { stage: this.#isScanned(scanArgs.stage), context: this.#isScanned(scanArgs.context) },
    };
  }

  #isScanned(arg: string): boolean {
    const value = this.scope.forBuilder(arg) ?? this.program.globals.get(arg) ?? '';
    return parseGoBool(value) ?? value.split(',').includes(this.program.titleOf(this.input.head.stage.index));
  }

  expand(word: string, instruction: Instruction, options: Partial<ExpandOptions> = {}): string {
    const { escape } = this.program.dockerfile;
    const { text, unset } = expandWord(word, this.scope, { escape, ...options });
    for (const name of unset) this.#reportUnset(name, instruction);
    return text;
  }

  shown(instruction: Instruction, { isShell = false } = {}): string {
    const { original } = instruction.statement;
    const upper = original.replace(/^\S+/, (keyword) => keyword.toUpperCase());
    try {
      const { escape } = this.program.dockerfile;
      const kept = { keepsQuotes: true, keepsEscapes: true, keepsUnset: true };
      return expandWord(upper, this.scope, { escape, ...(isShell ? kept : {}) }).text;
    } catch (error) {
      // what a shell understands need not be what we do
      if (error instanceof DockerfileProblem) return upper;
      throw error;
    }
  }

  record(text: string, { hasLayer = false } = {}): void {
    this.image.record(text, { hasLayer, ...createdAt(this.program.settings.options.epochSeconds) });
  }

  absolute(path: string): string {
    const { WorkingDir } = this.image.config;
    return posix.resolve('/', WorkingDir === undefined || WorkingDir === '' ? '/' : WorkingDir, path);
  }

  #reportUnset(name: string, instruction: Instruction): void {
    if (this.scope.isDeclared(name) || isPredefined(name)) return;
    const near = nearest(name, this.scope.names());
    const hint = near === undefined ? '' : ` (did you mean $${near}?)`;
    this.linter.report(
      'UndefinedVar',
      instruction.statement.lines,
      `Usage of undefined variable '$${name}'${hint}`,
    );
  }

  #carryOut(instruction: Instruction): Step | undefined {
    switch (instruction.kind) {
      case 'add':
      case 'copy':
        return this.#copy.plan(instruction);
      case 'run':
        return this.#run.plan(instruction);
      case 'workdir':
        return this.#workdir(instruction);
      case 'arg':
        this.#arg(instruction);
        return undefined;
      case 'env':
        this.#env(instruction);
        return undefined;
      case 'label':
        this.#label(instruction);
        return undefined;
      case 'expose':
        this.#expose(instruction);
        return undefined;
      default:
        this.#configure(instruction);
        return undefined;
    }
  }

  #configure(
    instruction: InstructionOf<
      | 'cmd'
      | 'entrypoint'
      | 'healthcheck'
      | 'maintainer'
      | 'onbuild'
      | 'shell'
      | 'stopsignal'
      | 'user'
      | 'volume'
    >,
  ): void {
    const { config } = this.image;
    switch (instruction.kind) {
      case 'cmd':
      case 'entrypoint':
        this.#command(instruction);
        return;
      case 'healthcheck':
        config.Healthcheck = this.#healthcheck(instruction);
        this.record(`HEALTHCHECK ${healthcheckText(instruction.check)}`);
        return;
      case 'maintainer':
        this.image.author = instruction.name;
        this.record(`MAINTAINER ${instruction.name}`);
        return;
      case 'onbuild':
        config.OnBuild = [...(config.OnBuild ?? []), instruction.trigger];
        return;
      case 'shell':
        config.Shell = [...instruction.words];
        this.record(`SHELL [${instruction.words.join(' ')}]`);
        return;
      case 'stopsignal': {
        const signal = this.expand(instruction.signal, instruction);
        requireSignal(signal);
        config.StopSignal = signal;
        this.record(`STOPSIGNAL ${signal}`);
        return;
      }
      case 'user':
        config.User = this.expand(instruction.user, instruction);
        this.record(`USER ${config.User}`);
        return;
      case 'volume': {
        const paths = instruction.paths.map((path) => this.expand(path, instruction));
        if (paths.includes('')) throw new DockerfileProblem('VOLUME specified can not be an empty string');
        config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
        this.record(`VOLUME [${paths.join(' ')}]`);
        return;
      }
    }
  }

  #workdir(instruction: InstructionOf<'workdir'>): Step | undefined {
    const given = this.expand(instruction.path, instruction);
    const shown = this.shown(instruction);
    if (posix.isAbsolute(given)) this.#hasAbsoluteWorkdir = true;
    else if (!this.#hasAbsoluteWorkdir) {
      this.#hasAbsoluteWorkdir = true;
      this.linter.report(
        'WorkdirRelativePath',
        instruction.statement.lines,
        `Relative workdir ${goQuote(given)} can have unexpected results if the base image changes`,
      );
    }
    const path = this.absolute(given);
    // an absolute one stays as it is written
    const shownPath = posix.isAbsolute(given) ? given : path;
    this.image.config.WorkingDir = shownPath;
    // the root is always there
    const hasLayer = path !== '/';
    this.record(`WORKDIR ${shownPath}`, { hasLayer });
    if (!hasLayer) return undefined;
    const title = this.titles.next(shown);
    return {
      kind: 'workdir',
      title,
      lines: instruction.statement.lines,
      ignoresCache: this.ignoresCache,
      platform: this.input.head.platform,
      path,
      user: this.image.config.User ?? '',
    };
  }

  #arg(instruction: InstructionOf<'arg'>): void {
    const { options } = this.program.settings;
    const told: string[] = [];
    for (const { name: given, value } of instruction.args) {
      const name = this.expand(given, instruction);
      const chosen = options.buildArgs.get(name);
      const byDefault = value === undefined ? undefined : this.expand(value, instruction);
      const inherited =
        this.program.globals.get(name) ?? proxyArgs(options.buildArgs).get(name.toLowerCase());
      const result = chosen ?? byDefault ?? inherited;
      this.scope.declare({ name, value: result });
      const isGiven = (chosen ?? byDefault ?? inherited ?? '') !== '' || value !== undefined;
      told.push(isGiven ? `${name}=${result ?? ''}` : name);
    }
    this.record(`ARG ${told.join(' ')}`);
  }

  #env(instruction: InstructionOf<'env' | 'label'>): void {
    const pairs = this.#pairs(instruction);
    for (const { key, value } of pairs) this.scope.setEnv(key, value);
    this.record(`ENV ${pairs.map(({ key, value }) => `${key}=${value}`).join(' ')}`);
  }

  #label(instruction: InstructionOf<'env' | 'label'>): void {
    const pairs = this.#pairs(instruction);
    this.image.config.Labels = {
      ...this.image.config.Labels,
      ...Object.fromEntries(pairs.map(({ key, value }) => [key, value])),
    };
    this.record(`LABEL ${pairs.map(({ key, value }) => `${key}=${value}`).join(' ')}`);
  }

  /** All of one instruction see what was before it. */
  #pairs(instruction: InstructionOf<'env' | 'label'>): Pair[] {
    return instruction.pairs.map(({ key, value }) => ({
      key: this.expand(key, instruction),
      value: this.expand(value, instruction),
    }));
  }

  #expose(instruction: InstructionOf<'expose'>): void {
    const specs = instruction.ports.flatMap((port) =>
      this.expand(port, instruction).split(/\s+/).filter(Boolean),
    );
    reportExpose(specs, this.linter, instruction.statement.lines);
    const ports = specs.flatMap(exposedPorts);
    const { config } = this.image;
    config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
    const sorted = ports.toSorted().map((port) => `${port}:{}`);
    this.record(`EXPOSE map[${sorted.join(' ')}]`);
  }

  #command(instruction: InstructionOf<'cmd' | 'entrypoint'>): void {
    const { command, kind, statement } = instruction;
    const { config } = this.image;
    const words = command.usesShell ? this.withShell(command.words) : [...command.words];
    if (command.usesShell && command.words.length > 0 && config.Shell === undefined) {
      this.linter.report(
        'JSONArgsRecommended',
        statement.lines,
        `JSON arguments recommended for ${kind.toUpperCase()} to prevent unintended behavior related to OS signals`,
      );
    }
    if (kind === 'cmd') {
      if (words.length > 0) config.Cmd = words;
      else delete config.Cmd;
      config.ArgsEscaped = true;
    } else {
      if (words.length > 0) config.Entrypoint = words;
      else delete config.Entrypoint;
      // what the base image runs by default is no argument of another's
      if (!this.#hasOwnCmd) delete config.Cmd;
    }
    if (kind === 'cmd') this.#hasOwnCmd = true;
    this.record(`${kind.toUpperCase()} [${words.map(goQuote).join(' ')}]`);
  }

  #hasOwnCmd = false;

  withShell(words: readonly string[]): string[] {
    const shell = this.image.config.Shell ?? ['/bin/sh', '-c'];
    return [...shell, words.join(' ')];
  }

  #healthcheck({ check }: InstructionOf<'healthcheck'>): Record<string, unknown> {
    const { test, interval, timeout, startPeriod, startInterval, retries } = check;
    return {
      Test: test,
      ...(interval === 0 ? {} : { Interval: interval }),
      ...(timeout === 0 ? {} : { Timeout: timeout }),
      ...(startPeriod === 0 ? {} : { StartPeriod: startPeriod }),
      ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
      ...(retries === 0 ? {} : { Retries: retries }),
    };
  }
}

const signals =
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU UNUSED URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'.split(
    ' ',
  );
const lastSignal = 64;

/** Throws DockerfileProblem in Docker's words. */
function requireSignal(signal: string): void {
  if (/^\d{1,3}$/.test(signal) && Number(signal) >= 1 && Number(signal) <= lastSignal) return;
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const plain = name.replace(/^(RTMIN\+|RTMAX-)(?:[1-9]|1[0-5])$/, (_all, kind: string) => kind.slice(0, -1));
  if (!signals.includes(plain)) throw new DockerfileProblem(`invalid signal: ${signal}`);
}
