// COPY, ADD and WORKDIR as LLB: one file operation each.

import { posix } from 'node:path';
import { hasWildcards } from '../../../go/path-match';
import type { ChownOpt, FileAction, FileActionCopy } from '../../messages/ops';
import type { Init } from '../../wire/codec';
import type { CopyPart, CopyStep, Origin, WorkdirStep } from '../stages/plan';
import { DockerfileProblem } from '../text/problem';
import type { GraphWriter, Output } from './graph-writer';
import { gitFiles, httpFile } from './sources';

type ActionInit = Init<typeof FileAction>;

export interface CopySurroundings {
  readonly writer: GraphWriter;
  readonly filesOf: (origin: Origin) => Output | undefined;
  /** What the solver can do. */
  readonly capabilities: ReadonlySet<string>;
}

const none = -1;

/** What is there after the copy. */
export function copyOutput(step: CopyStep, root: Output | undefined, around: CopySurroundings): Output {
  const { writer, capabilities } = around;
  // names of owners are those of the files that are copied to
  const isLinked = step.link && capabilities.has('mergeop') && !needsNames(step.chown);
  if (!isLinked) return writeCopy(step, root, around, step.title);
  const copied = writeCopy(step, undefined, around, step.title);
  if (root === undefined) return copied;
  return writer.add(
    { op: { kind: 'merge', value: { inputs: [{ input: 0 }, { input: 1 }] } } },
    [root, copied],
    { name: `LINK ${step.title}`, lines: [step.lines], ignoresCache: step.ignoresCache },
  );
}

function writeCopy(step: CopyStep, root: Output | undefined, around: CopySurroundings, name: string): Output {
  const actions = new Actions(root);
  const owner = ownerOf(step.chown, actions);
  for (const part of step.parts) addPart(part, step, owner, actions, around);
  return around.writer.add({ op: { kind: 'file', value: { actions: actions.finish() } } }, actions.inputs, {
    name,
    lines: [step.lines],
    ignoresCache: step.ignoresCache,
  });
}

/** Actions one after the other: each goes on from the one before, the last one's files are the output. */
class Actions {
  readonly inputs: Output[] = [];
  readonly #root: number;
  readonly #list: { input: number; secondary: () => number; action: NonNullable<ActionInit['action']> }[] =
    [];

  constructor(root: Output | undefined) {
    this.#root = root === undefined ? none : this.input(root);
  }

  get root(): number {
    return this.#root;
  }

  input(output: Output): number {
    const there = this.inputs.findIndex(
      ({ digest, index }) => digest === output.digest && index === output.index,
    );
    if (there >= 0) return there;
    this.inputs.push(output);
    return this.inputs.length - 1;
  }

  add(action: NonNullable<ActionInit['action']>, secondary: number): void {
    this.#list.push({ input: 0, secondary: () => secondary, action });
  }

  finish(): ActionInit[] {
    return this.#list.map(({ action, secondary }, at) => ({
      input: at === 0 ? this.#root : this.inputs.length + at - 1,
      secondaryInput: secondary(),
      output: at === this.#list.length - 1 ? 0 : none,
      action,
    }));
  }
}

function addPart(
  part: CopyPart,
  step: CopyStep,
  owner: Init<typeof ChownOpt> | undefined,
  actions: Actions,
  around: CopySurroundings,
): void {
  const { writer, filesOf } = around;
  const modes = modeOf(step.chmod, around.capabilities);
  const common = {
    dest: step.destination,
    ...modes,
    owner,
    createDestPath: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    followSymlink: true,
    dirCopyContents: true,
    timestamp: -1n,
    exclude_patterns: step.exclude,
  };
  const copy = (value: Init<typeof FileActionCopy>, from: Output | undefined): void => {
    actions.add(
      { kind: 'copy', value: { ...common, ...value } },
      from === undefined ? none : actions.input(from),
    );
  };
  switch (part.kind) {
    case 'files': {
      const { src, include } = step.parents
        ? parentsPattern(part.path)
        : { src: part.path, include: [] as string[] };
      copy(
        {
          src,
          attemptUnpackDockerCompatibility: part.unpack,
          ...(step.parents ? { include_patterns: include } : {}),
        },
        filesOf(part.origin),
      );
      return;
    }
    case 'inline': {
      const data = Buffer.from(part.file.content);
      const path = `/${part.file.name}`;
      const mkfile = { path, data, mode: 0o644, timestamp: -1n };
      const action = {
        input: none,
        secondaryInput: none,
        output: 0,
        action: { kind: 'mkfile' as const, value: mkfile },
      };
      const file = writer.add({ op: { kind: 'file', value: { actions: [action] } } }, [], {
        name: '[internal] preparing inline document',
      });
      const value = { src: path, dest: step.destination, ...modes, owner, timestamp: -1n };
      actions.add({ kind: 'copy', value: { ...value, createDestPath: true } }, actions.input(file));
      return;
    }
    case 'http': {
      const { url, filename, checksum, unpack } = part;
      const file = httpFile(
        writer,
        { url, filename, checksum },
        { name: step.title, description: [['com.docker.dockerfile.v1.command', '']] },
      );
      const value = { src: `/${filename}`, dest: step.destination, ...modes, owner, timestamp: -1n };
      actions.add(
        {
          kind: 'copy',
          value: { ...value, createDestPath: true, attemptUnpackDockerCompatibility: unpack },
        },
        actions.input(file),
      );
      return;
    }
    case 'git': {
      const files = gitFiles(writer, part, { name: step.title });
      const value = { src: '/', dest: step.destination, ...modes, owner, timestamp: -1n };
      actions.add(
        { kind: 'copy', value: { ...value, createDestPath: true, exclude_patterns: step.exclude } },
        files === undefined ? none : actions.input(files),
      );
      return;
    }
  }
}

/** With `--parents` names are kept from the root on, or from where the path says `/./`. */
function parentsPattern(path: string): { src: string; include: string[] } {
  const pivot = path.indexOf('/./');
  const src = pivot < 0 ? '/' : path.slice(0, pivot + 1);
  const rest = (pivot < 0 ? path : path.slice(pivot + 2)).replace(/^\/+|\/+$/g, '');
  return { src, include: rest === '' ? [] : [rest] };
}

function modeOf(chmod: string, capabilities: ReadonlySet<string>): { mode: number; modeStr?: string } {
  if (chmod === '') return { mode: none };
  if (/^[0-7]+$/.test(chmod)) return { mode: Number.parseInt(chmod, 8) };
  if (!capabilities.has('file.copy.modestring'))
    throw new DockerfileProblem(`chmod ${chmod}: only octal modes are supported`);
  return { mode: none, modeStr: chmod };
}

function needsNames(chown: string): boolean {
  return chown.split(':').some((part) => part !== '' && !/^\d+$/.test(part));
}

function ownerOf(chown: string, actions: Actions): Init<typeof ChownOpt> | undefined {
  if (chown === '') return undefined;
  const colon = chown.indexOf(':');
  const user = colon < 0 ? chown : chown.slice(0, colon);
  const group = colon < 0 ? '' : chown.slice(colon + 1);
  const option = (name: string): Init<typeof ChownOpt>['user'] =>
    /^\d{1,10}$/.test(name) && Number(name) <= 0xffff_ffff
      ? { user: { kind: 'byID', value: Number(name) } }
      : { user: { kind: 'byName', value: { name, input: actions.root } } };
  return {
    ...(user === '' ? {} : { user: option(user) }),
    ...(group === '' ? {} : { group: option(group) }),
  };
}

/** The working directory, made with all that leads to it. */
export function workdirOutput(step: WorkdirStep, root: Output | undefined, writer: GraphWriter): Output {
  const actions = new Actions(root);
  const value = {
    path: posix.normalize(step.path),
    mode: 0o755,
    makeParents: true,
    timestamp: -1n,
    ...(step.user === '' ? {} : { owner: ownerOf(step.user, actions) }),
  };
  actions.add({ kind: 'mkdir', value }, none);
  return writer.add({ op: { kind: 'file', value: { actions: actions.finish() } } }, actions.inputs, {
    name: step.title,
    lines: [step.lines],
    ignoresCache: step.ignoresCache,
  });
}

/** What a copy reads, and where. */
export function copiedPaths(step: CopyStep): { origin: Origin; path: string }[] {
  return step.parts.flatMap((part) => {
    if (part.kind !== 'files') return [];
    const { origin } = part;
    if (!step.parents) return [{ origin, path: part.path }];
    const { src, include } = parentsPattern(part.path);
    const [rest] = include;
    return [{ origin, path: rest === undefined || hasWildcards(rest) ? src : posix.join(src, rest) }];
  });
}
