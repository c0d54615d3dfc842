// The checks that need the text alone: no variables, no images.

import { goQuote } from '../../../go/quote';
import type { Dockerfile, Instruction, Stage } from '../syntax/instruction';
import type { Linter } from './linter';

const reservedNames = ['context', 'scratch'];
const onlyLastCounts: readonly Instruction['kind'][] = ['cmd', 'entrypoint', 'healthcheck'];

export function lintStructure(dockerfile: Dockerfile, linter: Linter): void {
  for (const lines of dockerfile.emptyContinuations)
    linter.report('NoEmptyContinuation', lines, 'Empty continuation line');
  lintCasing(dockerfile, linter);
  lintStageNames(dockerfile.stages, linter);
  lintDescriptions(dockerfile, linter);
  for (const instruction of dockerfile.globalArgs) lintInstruction(instruction, linter);
  for (const { instructions } of dockerfile.stages) {
    for (const instruction of instructions) lintInstruction(instruction, linter);
    lintRepeated(instructions, linter);
  }
}

/** Keywords should be written as most of them are. */
function lintCasing({ statements }: Dockerfile, linter: Linter): void {
  const isUpper = (keyword: string): boolean => keyword === keyword.toUpperCase();
  const isLower = (keyword: string): boolean => keyword === keyword.toLowerCase();
  const upper = statements.filter(({ keyword }) => isUpper(keyword)).length;
  const lower = statements.filter(({ keyword }) => isLower(keyword)).length;
  const [majority, matches] =
    upper >= lower ? (['uppercase', isUpper] as const) : (['lowercase', isLower] as const);
  for (const { keyword, lines } of statements) {
    if (matches(keyword)) continue;
    linter.report(
      'ConsistentInstructionCasing',
      lines,
      `Command '${keyword}' should match the case of the command majority (${majority})`,
    );
  }
}

function lintStageNames(stages: readonly Stage[], linter: Linter): void {
  const seen = new Set<string>();
  for (const { name, givenName, as, statement, platform } of stages) {
    const { lines, keyword } = statement;
    if (platform !== '' && !platform.includes('$'))
      lintConstantPlatform(platform, name, statement.lines, linter);
    if (name === '') continue;
    const hasSameCase =
      (keyword === keyword.toUpperCase() && as === as.toUpperCase()) ||
      (keyword === keyword.toLowerCase() && as === as.toLowerCase());
    if (!hasSameCase)
      linter.report('FromAsCasing', lines, `'${as}' and '${keyword}' keywords' casing do not match`);
    if (givenName !== name)
      linter.report('StageNameCasing', lines, `Stage name '${givenName}' should be lowercase`);
    if (reservedNames.includes(name))
      linter.report(
        'ReservedStageName',
        lines,
        `'${name}' is reserved and should not be used as a stage name`,
      );
    if (seen.has(name))
      linter.report(
        'DuplicateStageName',
        lines,
        `Duplicate stage name '${givenName}', stage names should be unique`,
      );
    seen.add(name);
  }
}

/** A stage that says in its name which platform it is for may be of that one alone. */
function lintConstantPlatform(
  platform: string,
  name: string,
  lines: Stage['statement']['lines'],
  linter: Linter,
): void {
  const parts = platform.toLowerCase().split('/');
  if (parts.some((part) => part !== '' && name.includes(part))) return;
  linter.report(
    'FromPlatformFlagConstDisallowed',
    lines,
    `FROM --platform flag should not use constant value ${goQuote(platform)}`,
  );
}

/** Comments right above tell what an argument or a stage is for, if they begin with its name. */
function lintDescriptions({ globalArgs, stages }: Dockerfile, linter: Linter): void {
  if (!linter.wants('InvalidDefinitionDescription')) return;
  const message =
    'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.';
  for (const { statement, name, description } of stages) {
    if (statement.comments.length > 0 && description === '' && name !== '')
      linter.report('InvalidDefinitionDescription', statement.lines, message);
  }
  for (const instruction of [...globalArgs, ...stages.flatMap(({ instructions }) => instructions)]) {
    if (instruction.kind !== 'arg') continue;
    const { statement, args } = instruction;
    if (statement.comments.length > 0 && args.every(({ description }) => description === ''))
      linter.report('InvalidDefinitionDescription', statement.lines, message);
  }
}

function lintInstruction(instruction: Instruction, linter: Linter): void {
  const { lines } = instruction.statement;
  switch (instruction.kind) {
    case 'maintainer':
      linter.report(
        'MaintainerDeprecated',
        lines,
        'Maintainer instruction is deprecated in favor of using label',
      );
      return;
    case 'env':
    case 'label': {
      const keyword = instruction.kind.toUpperCase();
      if (instruction.isLegacy) {
        linter.report(
          'LegacyKeyValueFormat',
          lines,
          `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
        );
      }
      if (instruction.kind === 'env')
        lintSecrets(
          keyword,
          instruction.pairs.map(({ key }) => key),
          lines,
          linter,
        );
      return;
    }
    case 'arg':
      lintSecrets(
        'ARG',
        instruction.args.map(({ name }) => name),
        lines,
        linter,
      );
      return;
    default:
  }
}

const secretWords =
  /(?:^|_)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:$|_)/i;
const publicWords = /(?:^|_)public(?:$|_)/i;

function lintSecrets(
  keyword: string,
  names: readonly string[],
  lines: Instruction['statement']['lines'],
  linter: Linter,
): void {
  for (const name of names) {
    if (!secretWords.test(name) || publicWords.test(name)) continue;
    linter.report(
      'SecretsUsedInArgOrEnv',
      lines,
      `Do not use ARG or ENV instructions for sensitive data (${keyword} ${goQuote(name)})`,
    );
  }
}

function lintRepeated(instructions: readonly Instruction[], linter: Linter): void {
  for (const kind of onlyLastCounts) {
    const all = instructions.filter((instruction) => instruction.kind === kind);
    for (const { statement } of all.slice(0, -1)) {
      linter.report(
        'MultipleInstructionsDisallowed',
        statement.lines,
        `Multiple ${kind.toUpperCase()} instructions should not be used in the same stage because only the last one will be used`,
      );
    }
  }
}
