// RUN (Dockerfile reference): what it runs, with what, and what of the build is mounted.

import { posix } from 'node:path';
import type { InstructionOf } from '../syntax/instruction';
import { readMount, type MountOptions } from '../syntax/mounts';
import { DockerfileProblem } from '../text/problem';
import { proxyArgs } from './automatic-args';
import type { StageContext } from './stage-context';
import type { InlineFile, PlannedMount, RunStep } from './plan';

/** Where scripts with an interpreter of their own are mounted. */
export const scriptDirectory = '/dev/pipes';
const secretDirectory = '/run/secrets';
const agentPath = '/run/buildkit/ssh_agent';

export class RunPlanner {
  readonly #stage: StageContext;

  constructor(stage: StageContext) {
    this.#stage = stage;
  }

  plan(instruction: InstructionOf<'run'>): RunStep {
    const stage = this.#stage;
    const { options } = stage.program.settings;
    const { statement } = instruction;
    const { args, script } = this.#command(instruction);
    const shown = withExcerpt(stage.shown(instruction, { isShell: true }), instruction);
    const title = stage.titles.next(shown);
    const declared = stage.scope.arguments();
    const prefix = declared.length === 0 ? '' : `|${declared.length} ${declared.join(' ')} `;
    const step: RunStep = {
      kind: 'run',
      title,
      command: statement.original,
      lines: statement.lines,
      ignoresCache: stage.ignoresCache,
      platform: stage.input.head.platform,
      args,
      env: stage.scope.environment(),
      workingDir: stage.absolute('.'),
      user: stage.image.config.User ?? '',
      script,
      mounts: this.#mounts(instruction),
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
    if (isDocument({ command, heredocs })) {
      if (!only.isScript) return { args: stage.withShell([only.content]), script: undefined };
      return {
        args: stage.withShell([posix.join(scriptDirectory, only.name)]),
        script: { name: only.name, content: only.content },
      };
    }
    const documents = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
    return { args: stage.withShell([text + documents]), script: undefined };
  }

  /** In the order of their targets: what lies in another is mounted after it. */
  #mounts(instruction: InstructionOf<'run'>): PlannedMount[] {
    let agents = 0;
    const mounts = instruction.mounts.map(({ text }) => {
      const mount = this.#mount(text, instruction);
      if (mount.type === 'secret') return { ...mount, ...secretPlace(mount) };
      if (mount.type !== 'ssh' || mount.target !== '') return mount;
      agents += 1;
      return { ...mount, target: `${agentPath}.${agents - 1}` };
    });
    return mounts.toSorted((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
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
    if (from !== '') return program.usableOrigin(from, input.head.stage.index);
    return type === 'bind' ? { kind: 'context' } : { kind: 'scratch' };
  }
}

function networkOf(name: string): RunStep['network'] {
  return name === 'host' || name === 'none' ? name : 'sandbox';
}

/** Its id and where it is mounted; '' for one that is only a variable. */
function secretPlace({ id, source, target, env }: PlannedMount): { id: string; target: string } {
  const given = id === '' ? source.replace(/^\//, '') : id;
  if (given === '' && target === '') return { id: env, target: '' };
  const name = given === '' ? posix.basename(target) : given;
  if (target !== '') return { id: name, target };
  return { id: name, target: env === '' ? posix.join(secretDirectory, posix.basename(name)) : '' };
}

/** The document is all that is run. */
function isDocument({ command, heredocs }: Pick<InstructionOf<'run'>, 'command' | 'heredocs'>): boolean {
  return heredocs.length === 1 && command.words.join(' ').trim() === heredocs[0]?.word;
}

/** `RUN <<EOF (first line…)`. */
function withExcerpt(shown: string, run: InstructionOf<'run'>): string {
  const [document] = run.heredocs;
  if (document === undefined || !isDocument(run)) return shown;
  const [line = ''] = document.content.split('\n', 1);
  return `${shown} (${line}...)`;
}
