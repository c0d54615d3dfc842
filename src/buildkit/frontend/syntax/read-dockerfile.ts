// A text's statements into stages.

import { goQuote } from '../../../go/quote';
import { readDockerfile, readTrigger } from '../text/dockerfile-text';
import { DockerfileProblem, parseProblem } from '../text/problem';
import type { Lines, Statement } from '../text/statement';
import { readFlags } from './flags';
import type { Dockerfile, Instruction, InstructionOf, Stage } from './instruction';
import { descriptionOf, readInstruction } from './read-instruction';

const maxStages = 2000;

/** Throws DockerfileProblem in BuildKit's words. */
export function parseDockerfile(text: string): Dockerfile {
  const { statements, escape, check, emptyContinuations } = readDockerfile(text);
  const globalArgs: InstructionOf<'arg'>[] = [];
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const statement of statements) {
    if (statement.keyword.toLowerCase() === 'from') {
      if (stages.length >= maxStages)
        throw parseProblem(statement.lines, new Error(`more than ${maxStages} stages`));
      stages.push(located(statement, () => readStage(statement, stages.length)));
      continue;
    }
    const instruction = located(statement, () => readInstruction(statement, escape));
    const stage = stages.at(-1);
    if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'arg') globalArgs.push(instruction);
    else throw new DockerfileProblem('no build stage in current context', statement.lines);
  }
  if (stages.length === 0) throw new DockerfileProblem('dockerfile contains no stages to build');
  return { stages, globalArgs, escape, check, emptyContinuations, statements };
}

/** An instruction that an image carries for those who build on it; `lines` are those of the FROM. */
export function parseTrigger(text: string, escape: string, lines: Lines): Instruction {
  const statement = readTrigger(text, lines);
  return located(statement, () => readInstruction(statement, escape));
}

function located<T>(statement: Statement, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw parseProblem(statement.lines, error);
  }
}

function readStage(statement: Statement, index: number): Stage & { instructions: Instruction[] } {
  const words = statement.body === '' ? [] : statement.body.split(/[\t\v\f\r ]+/);
  const [base = '', as = '', given = ''] = words;
  const isNamed = words.length === 3 && as.toLowerCase() === 'as';
  if (!isNamed && words.length !== 1)
    throw new DockerfileProblem('FROM requires either one or three arguments');
  const name = given.toLowerCase();
  if (isNamed && !/^[a-z][a-z0-9-_.]*$/.test(name)) {
    throw new DockerfileProblem(
      `invalid name for build stage: ${goQuote(given)}, name can't start with a number or contain symbols`,
    );
  }
  const platform = readFlags(statement, { platform: 'text' }).text('platform');
  return {
    index,
    name: isNamed ? name : '',
    givenName: isNamed ? given : '',
    as: isNamed ? as : '',
    base,
    platform,
    statement,
    instructions: [],
    description: descriptionOf(statement, name),
  };
}
