// RUN (Dockerfile reference): what it runs, with what, and what of the build is mounted.

import { posix } from 'node:path';
import type { Heredoc } from '../text/statement';
import type { InstructionOf } from '../syntax/instruction';
import { readMount, type MountOptions } from '../syntax/mounts';
import { DockerfileProblem } from '../text/problem';
import { proxyArgs } from './automatic-args';
import type { StageContext } from './stage-context';
import type { InlineFile, PlannedMount, RunStep } from './plan';

/** Where scripts with an interpreter of their own are mounted. */
export const scriptDirectory = '/dev/pipes';

export class RunPlanner {
  readonly #stage: StageContext;

  constructor(stage: StageContext) {
    this.#stage = stage;
  }

  plan(instruction: InstructionOf<'run'>): RunStep {
    const stage = this.#stage;
    const { options } = stage.program.settings;
    const { statement, heredocs } = instruction;
    const { args, script } = this.#command(instruction);
    const shown = withHeredocs(stage.shown(instruction), heredocs);
    const title = stage.titles.next(shown);
    const declared = stage.scope.arguments();
    const prefix = declared.length === 0 ? '' : `|${declared.length} ${declared.join(' ')} `;
    const step: RunStep = {
      kind: 'run',
      title,
      command: shown,
      lines: statement.lines,
      ignoresCache: stage.ignoresCache,
      platform: stage.input.head.platform,
      args,
      env: stage.scope.environment(),
      workingDir: stage.absolute('.'),
      user: stage.image.config.User ?? '',
      script,
      mounts: instruction.mounts.map(({ text }) => this.#mount(text, instruction)),
      network:
        instruction.network === '' || instruction.network === 'default'
          ? options.network
          : networkOf(instruction.network),
      isInsecure: instruction.security === 'insecure',
      proxies: proxyArgs(options.buildArgs),
      hostname: options.hostname,
      extraHosts: options.extraHosts,
      ulimits: options.ulimits,
      cgroupParent: options.cgroupParent,
      shmSizeBytes: options.shmSizeBytes,
    };
    stage.record(`RUN ${prefix}${args.join(' ')} # buildkit`, { hasLayer: true });
    return step;
  }

  #command({ command, heredocs }: InstructionOf<'run'>): { args: string[]; script: InlineFile | undefined } {
    const stage = this.#stage;
    if (!command.usesShell) return { args: [...command.words], script: undefined };
    const text = command.words.join(' ');
    const [only] = heredocs;
    if (only === undefined) return { args: stage.withShell([text]), script: undefined };
    if (heredocs.length === 1 && text.trim() === only.word) {
      // the document is the script
      if (!only.content.startsWith('#!')) return { args: stage.withShell([only.content]), script: undefined };
      return {
        args: [posix.join(scriptDirectory, only.name)],
        script: { name: only.name, content: only.content },
      };
    }
    const documents = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
    return { args: stage.withShell([text + documents]), script: undefined };
  }

  #mount(text: string, instruction: InstructionOf<'run'>): PlannedMount {
    const stage = this.#stage;
    const options = readMount(text, (word) => stage.expand(word, instruction));
    const target = options.target === '' ? '' : stage.absolute(options.target);
    if (target === '/') throw new DockerfileProblem('invalid mount target "/"');
    const source = options.source === '' ? '' : posix.resolve('/', options.source);
    return { ...options, target, source, origin: this.#origin(options) };
  }

  #origin({ type, from }: MountOptions): PlannedMount['origin'] {
    const { program, input } = this.#stage;
    if (from !== '') return program.originOf(from, input.head.stage.index);
    return type === 'bind' ? { kind: 'context' } : { kind: 'scratch' };
  }
}

function networkOf(name: string): RunStep['network'] {
  return name === 'host' || name === 'none' ? name : 'sandbox';
}

const shownLength = 64;

/** `RUN <<EOF (first line…)`. */
export function withHeredocs(shown: string, heredocs: readonly Heredoc[]): string {
  const [first] = heredocs;
  if (first === undefined) return shown;
  const [line = ''] = first.content.trimStart().split('\n', 1);
  const hasMore = first.content.trim().includes('\n');
  const excerpt = line.length > shownLength ? line.slice(0, shownLength) : line;
  return `${shown} (${excerpt}${hasMore || excerpt !== line ? '...' : ''})`;
}
