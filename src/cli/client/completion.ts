// `caisson completion bash|zsh|fish`: each shell's script asks the program itself, which knows its commands, what may follow,
// and the names of Pods and VMs.

import type { Command, Option } from 'commander';
import type { PodSummary, VmSummary } from '../../api/v1/types';
import { ApiClient } from './api-client';

/** Named by the scripts; not for people. */
export const completeCommand = '__complete';

export const completionScripts = {
  bash: `_caisson() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(caisson ${completeCommand} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _caisson caisson
`,
  zsh: `#compdef caisson
_caisson() {
  local -a found
  found=(\${(f)"$(caisson ${completeCommand} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#found} )); then compadd -a found; else _files; fi
}
if [[ "\${funcstack[1]}" = _caisson ]]; then _caisson "$@"; else compdef _caisson caisson; fi
`,
  fish: `function __caisson_complete
  set -l words (commandline -opc) (commandline -ct)
  caisson ${completeCommand} -- $words[2..-1] 2>/dev/null
end
complete -c caisson -f -a '(__caisson_complete)'
`,
} as const;

/** What may stand where the last of `words` is being typed. Names are asked of the daemon; without one there are none. */
export async function completions(program: Command, words: readonly string[]): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const { command, option } = locate(program, words.slice(0, -1));
  const candidates =
    option !== undefined
      ? (option.argChoices ?? (option.long === '--vm' ? await vmNames() : []))
      : typed.startsWith('-')
        ? optionsOf(program, command)
        : [...subcommands(command), ...(await argumentsOf(command))];
  return candidates.filter((candidate) => candidate.startsWith(typed));
}

/** The command that the words lead to, and the option whose value comes next. */
function locate(program: Command, words: readonly string[]): { command: Command; option?: Option } {
  let command = program;
  let option: Option | undefined;
  for (const word of words) {
    if (option !== undefined) {
      option = undefined;
      continue;
    }
    const found = [...command.options, ...program.options].find(
      ({ long, short }) => word === long || word === short,
    );
    if (found !== undefined && (found.required || found.optional)) option = found;
    else
      command =
        visible(command).find((sub) => sub.name() === word || sub.aliases().includes(word)) ?? command;
  }
  return { command, ...(option === undefined ? {} : { option }) };
}

function visible(command: Command): readonly Command[] {
  const shown = command.createHelp().visibleCommands(command);
  return command.commands.filter((sub) => shown.includes(sub));
}

function subcommands(command: Command): string[] {
  return visible(command).map((sub) => sub.name());
}

function optionsOf(program: Command, command: Command): string[] {
  const all = command === program ? program.options : [...command.options, ...program.options];
  return [...new Set(all.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []))].concat('--help');
}

async function argumentsOf(command: Command): Promise<string[]> {
  const [first] = command.registeredArguments;
  if (first?.argChoices !== undefined) return first.argChoices;
  switch (first?.name()) {
    case 'pod':
    case 'old':
      return podNames();
    case 'vm':
      return vmNames();
    case 'image':
      return imageNames();
    default:
      return [];
  }
}

async function podNames(): Promise<string[]> {
  const pods = await new ApiClient(undefined).call<PodSummary[]>('GET', '/v1/pods').catch(() => []);
  return pods.map(({ name }) => name);
}

async function vmNames(): Promise<string[]> {
  const vms = await new ApiClient(undefined).call<VmSummary[]>('GET', '/v1/vms').catch(() => []);
  return vms.map(({ id }) => id);
}

async function imageNames(): Promise<string[]> {
  const images = await new ApiClient(undefined).docker.listImages().catch(() => []);
  return images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => name !== '<none>:<none>');
}
