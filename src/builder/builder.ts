// A build from its context to its image: stages and steps in order, each found in the cache or carried out
// (docs/building.md).

import { posix } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import { expandWord } from '../dockerfile/words';
import type { Image } from '../storage/contract/image';
import { parsePlatform, type Platform } from '../registry/platform';
import { BuildArgs } from './args';
import { BuildCache } from './cache';
import type { BuildHost, RunConfig } from './host';
import type { BuildSettings } from './options';
import { shortId, type BuildOutput } from './output';
import { BuildStage, type FinishedStage } from './stage';
import type { BuildContext } from './context';
import { contextSource, hashOfItems, imageSource, type CopySource } from './copy-source';
import { copyToLayer, itemsToCopy, storeChanges, type CopyTools } from './copy-step';
import { trimSpace } from '../dockerfile/parser';
import { expandCommand } from '../dockerfile/expansion';
import { toName } from './file-tree';
import { StageFiles, type LayerIndexes } from './image-files';
import { parseCommand } from '../dockerfile/instruction-parser';
import type { ArgCommand, BuildPlan, Command, CopyCommand, Stage } from '../dockerfile/instructions';
import { applyMetadata, resolveCommand, workingDirectory } from './metadata';
import { TreeChanges } from './tree-changes';

/** dockerd's words for a variable without a value. */
const noPlatform =
  '"" is an invalid component of "": platform specifier component must match "^[A-Za-z0-9_-]+$": invalid argument';

const needsBuildKit = (flag: string): DaemonError =>
  new DaemonError(
    'InvalidParameter',
    `the --${flag} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ ` +
      'to learn how to build images with BuildKit enabled',
  );

/** A command of the Dockerfile ended with a status other than 0. */
export class CommandFailed extends Error {
  readonly exitCode: number;

  constructor(words: readonly string[], exitCode: number) {
    super(`The command '${words.join(' ')}' returned a non-zero code: ${exitCode}`);
    this.exitCode = exitCode;
  }
}

export interface BuildParts {
  host: BuildHost;
  settings: BuildSettings;
  output: BuildOutput;
  context: BuildContext;
  plan: BuildPlan;
  escape: string;
  indexes: LayerIndexes;
  workDir: string;
  signal: AbortSignal;
}

export class Builder {
  readonly #parts: BuildParts;
  readonly #host: BuildHost;
  readonly #output: BuildOutput;
  readonly #settings: BuildSettings;
  readonly #signal: AbortSignal;
  readonly #args: BuildArgs;
  readonly #cache: BuildCache;
  readonly #finished: FinishedStage[] = [];
  /** Images that FROM --platform or --pull got already, by their names. */
  readonly #pulled = new Map<string, string>();
  readonly #intermediate: string[] = [];
  #step = 0;
  #total = 0;

  constructor(parts: BuildParts) {
    this.#parts = parts;
    this.#host = parts.host;
    this.#output = parts.output;
    this.#settings = parts.settings;
    this.#signal = parts.signal;
    this.#args = new BuildArgs(parts.settings.buildArgs);
    this.#cache = new BuildCache(parts.host, parts.settings);
  }

  /** The image's id. Throws DaemonError and CommandFailed. */
  async build(): Promise<string> {
    const { metaArgs, stages } = this.#parts.plan;
    this.#total = stages.reduce((sum, stage) => sum + 1 + stage.commands.length, metaArgs.length);
    for (const command of metaArgs) {
      this.#signal.throwIfAborted();
      this.#addMetaArgs(command);
      // Each takes longer than the one before: others have their turn between thousands of them.
      await turn();
    }
    let imageId = '';
    for (const stage of stages) imageId = await this.#buildStage(stage);
    const unused = this.#args.unused();
    if (unused.length > 0) {
      this.#output.stdout(`[Warning] One or more build-args [${unused.join(' ')}] were not consumed\n`);
    }
    if (imageId === '') {
      throw new DaemonError('Internal', 'No image was generated. Is your Dockerfile empty?');
    }
    return imageId;
  }

  #announce(instruction: string): void {
    this.#step += 1;
    this.#output.step(this.#step, this.#total, instruction);
  }

  #addMetaArgs(command: ArgCommand): void {
    this.#announce(trimSpace(command.original));
    const env = [...this.#args.metaValues()].map(([key, value]) => `${key}=${value}`);
    const expanded = expandCommand(command, env, this.#parts.escape);
    if (expanded.kind !== 'arg') return;
    for (const { key, value } of expanded.args) this.#args.addMeta(key, value);
  }

  async #buildStage(plan: Stage): Promise<string> {
    if (plan.name !== '' && this.#finished.some(({ name }) => name === plan.name)) {
      throw new DaemonError('Internal', `${plan.name} stage name already used`);
    }
    this.#args.startStage();
    this.#cache.startStage();
    this.#announce(trimSpace(plan.original));
    const stage = await this.#startStage(plan);
    await this.#runTriggers(stage);
    this.#output.image(stage.imageId);
    for (const command of plan.commands) {
      this.#signal.throwIfAborted();
      const isOption = command.kind === 'label' && command.literal;
      this.#announce(isOption ? command.original : trimSpace(command.original));
      await this.#dispatch(stage, command);
      this.#output.image(stage.imageId);
    }
    this.#output.imageId(stage.imageId);
    this.#finished.push({ name: plan.name, imageId: stage.imageId });
    return stage.imageId;
  }

  async #startStage({ name, baseName, platform: given }: Stage): Promise<BuildStage> {
    let platform = this.#settings.platform;
    if (given !== '') {
      const text = this.#expandPlatform(given);
      try {
        if (text === '') throw new Error(noPlatform);
        platform = parsePlatform(text) ?? platform;
      } catch (error) {
        throw new DaemonError('Internal', `failed to parse platform ${text}: ${errorMessage(error)}`);
      }
    }
    const base = this.#expandMeta(baseName);
    if (base === '') throw new DaemonError('Internal', `base name (${baseName}) should not be blank`);
    const stage = this.#finished.find(
      (finished) => finished.name !== '' && finished.name === base.toLowerCase(),
    );
    const image =
      stage !== undefined
        ? this.#imageOfStage(stage)
        : base === 'scratch'
          ? undefined
          : await this.#baseImage(base, platform);
    return new BuildStage(this.#host, this.#parts.indexes, { name, base: image, platform });
  }

  #expandPlatform(word: string): string {
    try {
      return this.#expandMeta(word);
    } catch (error) {
      const message = `failed to process arguments for platform : ${errorMessage(error)}`;
      throw new DaemonError('Internal', message, { cause: error });
    }
  }

  #expandMeta(word: string): string {
    return expandWord(word, this.#args.metaValues(), this.#parts.escape);
  }

  #imageOfStage({ imageId }: FinishedStage): Image | undefined {
    return imageId === '' ? undefined : this.#host.getImage(imageId);
  }

  /** Pulls it if it isn't here, or if the client wants that. */
  async #baseImage(ref: string, platform: Platform | undefined): Promise<Image> {
    const known = this.#pulled.get(ref);
    if (known !== undefined) return this.#host.getImage(known);
    const local = this.#settings.pull ? undefined : this.#host.findImage(ref);
    if (local === undefined) {
      const wanted = /[:@]/.test(ref.slice(ref.lastIndexOf('/') + 1)) ? ref : `${ref}:latest`;
      const options = platform === undefined ? {} : { platform };
      await this.#host.pull(wanted, options, this.#output.send, this.#signal);
    }
    const image = local ?? this.#host.getImage(ref);
    this.#pulled.set(ref, image.id);
    return image;
  }

  async #runTriggers(stage: BuildStage): Promise<void> {
    const triggers = stage.runConfig.OnBuild ?? [];
    if (triggers.length === 0) return;
    stage.runConfig.OnBuild = null;
    this.#output.stdout(`# Executing ${triggers.length} build trigger${triggers.length > 1 ? 's' : ''}\n`);
    for (const trigger of triggers) {
      this.#signal.throwIfAborted();
      await this.#dispatch(stage, parseCommand(trigger, '\\'));
    }
  }

  /** Carries a command out, and removes what containers it took as the client wants. */
  async #dispatch(stage: BuildStage, command: Command): Promise<void> {
    let worked = false;
    try {
      const env = stage.runConfig.Env ?? [];
      const variables = [...env, ...this.#args.outside(env)];
      await this.#carryOut(stage, expandCommand(command, variables, this.#parts.escape));
      worked = true;
    } finally {
      const isCancelled = this.#signal.aborted;
      const removes = this.#settings.forceRemove || (this.#settings.remove && worked) || isCancelled;
      if (removes) await this.#removeContainers();
      for (const id of this.#intermediate.splice(0)) this.#host.leaveContainer(id);
    }
  }

  async #carryOut(stage: BuildStage, command: Command): Promise<void> {
    switch (command.kind) {
      case 'add':
      case 'copy':
        return this.#copy(stage, command);
      case 'run':
        return this.#run(stage, command);
      case 'workdir':
        return this.#workdir(stage, command.path);
      case 'arg':
        for (const { key, value } of command.args) this.#args.add(key, value);
        return this.#commitComment(
          stage,
          `ARG ${command.args.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`)).join(' ')}`,
        );
      default: {
        const comment = applyMetadata(stage, command, (text) => this.#output.stdout(text));
        const paths = command.kind === 'volume' ? command.paths : [];
        return this.#commitComment(stage, comment, paths);
      }
    }
  }

  async #commitComment(stage: BuildStage, comment: string, volumes: readonly string[] = []): Promise<void> {
    if (await this.#probe(stage, stage.commented(comment))) return;
    await requireNoFiles(stage, volumes);
    stage.inheritHealthcheck();
    const config = stage.commented(comment);
    const containerId = await this.#createContainer(config, { runs: false });
    await stage.commit(asContainerHas(stage, config, containerId), { containerId });
  }

  async #workdir(stage: BuildStage, path: string): Promise<void> {
    stage.runConfig.WorkingDir = workingDirectory(stage.runConfig.WorkingDir, path);
    const directory = stage.runConfig.WorkingDir;
    const config = stage.commentedCopy(`WORKDIR ${directory}`);
    if (await this.#probe(stage, config)) return;
    const tree = await stage.files.tree(stage.diffIds);
    const changes = new TreeChanges(tree);
    const resolved = tree.resolve(toName(directory));
    if ((tree.lookup(resolved)?.kind ?? 'directory') === 'file') {
      throw new DaemonError('Internal', `Cannot mkdir: ${directory} is not a directory`);
    }
    const containerId = await this.#createContainer(config, { runs: false });
    changes.makeDirectories(resolved);
    const diffId = await storeChanges(changes, this.#host, this.#signal);
    if (diffId !== undefined) stage.files.grew(diffId);
    await stage.commit(asContainerHas(stage, config, containerId), { diffId, containerId });
  }

  async #copy(stage: BuildStage, command: CopyCommand): Promise<void> {
    if (command.chmod !== '') throw needsBuildKit('chmod');
    const tools: CopyTools = {
      host: this.#host,
      output: this.#output,
      workDir: this.#parts.workDir,
      signal: this.#signal,
    };
    const source =
      command.from === '' ? contextSource(this.#parts.context) : await this.#sourceOf(command.from);
    const items = await itemsToCopy(command, source, tools);
    const chown = command.chown === '' ? '' : `--chown=${command.chown}`;
    const comment = `${command.kind.toUpperCase()} ${chown}${hashOfItems(items)} in ${command.destination} `;
    const config = stage.commentedCopy(comment);
    if (await this.#probe(stage, config)) return;
    const tree = await stage.files.tree(stage.diffIds);
    const { WorkingDir: workingDir } = stage.runConfig;
    const diffId = await copyToLayer(command, items, { tree, workingDir }, tools);
    if (diffId !== undefined) stage.files.grew(diffId);
    await stage.commit(config, { diffId });
  }

  /** The files of a stage, by its name or number, or of an image. */
  async #sourceOf(from: string): Promise<CopySource> {
    const fail = (error: unknown): DaemonError =>
      new DaemonError('Internal', `invalid from flag value ${from}: ${errorMessage(error)}`, {
        cause: error,
      });
    let image: Image | undefined;
    try {
      const stage = this.#findStage(from);
      image =
        stage === undefined
          ? await this.#baseImage(from, this.#settings.platform)
          : this.#imageOfStage(stage);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw fail(error);
    }
    const files = new StageFiles(this.#parts.indexes);
    const tree = await files.tree(image?.config.rootfs.diff_ids ?? []);
    return imageSource(tree, this.#host.layers);
  }

  #findStage(nameOrIndex: string): FinishedStage | undefined {
    const byName = this.#finished.find(({ name }) => name !== '' && name === nameOrIndex.toLowerCase());
    if (byName !== undefined || !/^[+-]?\d+$/.test(nameOrIndex)) return byName;
    const index = Number(nameOrIndex);
    if (index === this.#finished.length) throw new DaemonError('Internal', 'refers to current build stage');
    const stage = this.#finished[index];
    if (stage === undefined) throw new DaemonError('Internal', 'index out of bounds');
    return stage;
  }

  async #run(stage: BuildStage, command: Extract<Command, { kind: 'run' }>): Promise<void> {
    const [flag] = command.flagsUsed;
    if (flag !== undefined) throw needsBuildKit(flag);
    const words = resolveCommand(stage, command.command) ?? [];
    const env = stage.runConfig.Env ?? [];
    const args = this.#args.outside(env).sort();
    const counted = args.filter((entry) => this.#args.countsForCache(entry.split('=', 1)[0] ?? ''));
    const recorded = args.length > 0 ? [`|${counted.length}`, ...counted, ...words] : words;
    const config: RunConfig = { ...stage.config, Cmd: recorded, Entrypoint: null };
    // An image's entrypoint counts unless the command is an empty one, as in dockerd.
    if (recorded.length === 0) config.Entrypoint = stage.runConfig.Entrypoint ?? null;
    if (await this.#probe(stage, config)) return;
    const step: RunConfig = {
      ...stage.config,
      Cmd: words,
      Env: [...env, ...args],
      Entrypoint: recorded.length === 0 ? (stage.runConfig.Entrypoint ?? null) : [''],
      Healthcheck: { Test: ['NONE'] },
    };
    const containerId = await this.#createContainer(step, { runs: true });
    const exitCode = await this.#host.runContainer(containerId, this.#output, this.#signal);
    this.#signal.throwIfAborted();
    if (exitCode !== 0) throw new CommandFailed(words, exitCode);
    const diffId = await this.#host.commitContainer(containerId, this.#signal);
    await stage.commit(config, { diffId, containerId });
  }

  async #probe(stage: BuildStage, config: RunConfig): Promise<boolean> {
    const id = await this.#cache.probe(stage.imageId, config);
    if (id === undefined) return false;
    this.#output.stdout(' ---> Using cache\n');
    stage.imageId = id;
    return true;
  }

  async #createContainer(config: RunConfig, { runs }: { runs: boolean }): Promise<string> {
    const { limits } = this.#settings;
    const { id, warnings } = await this.#host.createContainer({ config, limits, runs });
    this.#intermediate.push(id);
    for (const warning of warnings) this.#output.stdout(` ---> [Warning] ${warning}\n`);
    this.#output.stdout(` ---> Running in ${shortId(id)}\n`);
    return id;
  }

  async #removeContainers(): Promise<void> {
    for (const id of this.#intermediate.splice(0)) {
      try {
        await this.#host.removeContainer(id);
        this.#output.stdout(`Removing intermediate container ${shortId(id)}\n`);
      } catch (error) {
        log.warn('intermediate container could not be removed', { containerId: id, error });
        this.#output.stdout(`Error removing intermediate container ${shortId(id)}: ${errorMessage(error)}\n`);
      }
    }
  }
}

/** A volume is a directory: dockerd refuses one over a file when it makes the step's container. */
async function requireNoFiles(stage: BuildStage, volumes: readonly string[]): Promise<void> {
  if (volumes.length === 0) return;
  const tree = await stage.files.tree(stage.diffIds);
  for (const volume of volumes) {
    const path = tree.resolve(toName(volume));
    if ((tree.lookup(path)?.kind ?? 'directory') === 'directory') continue;
    throw new DaemonError('Internal', `cannot mount volume over existing file, file exists /${path}`);
  }
}

/** What dockerd has of a configuration when it has made a container of it, which takes over the image's. */
function asContainerHas(stage: BuildStage, config: RunConfig, containerId: string): RunConfig {
  const labels = config.Labels ?? (stage.image === undefined ? null : {});
  const directory = config.WorkingDir ?? '';
  const WorkingDir = directory === '' ? '' : posix.normalize(directory).replace(/(.)\/$/, '$1');
  return { ...config, Hostname: shortId(containerId), Labels: labels, WorkingDir };
}
