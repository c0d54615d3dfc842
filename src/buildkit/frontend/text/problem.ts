// What is wrong with a Dockerfile, and where: clients draw an excerpt of it.

import { errorMessage, isDaemonError } from '../../../errors';
import { BuildError, withDetails } from '../../contract/errors';
import type { SourceInfo } from '../../messages/ops';
import { rangesOf, type Lines } from './statement';

/** A fault at some lines; whoever knows the file makes a BuildError of it. */
export class DockerfileProblem extends Error {
  override readonly name = 'DockerfileProblem';
  readonly lines: Lines | undefined;

  constructor(message: string, lines?: Lines, options?: ErrorOptions) {
    super(message, options);
    this.lines = lines;
  }
}

/** A fault in the text of an instruction, told with its line. */
export function parseProblem({ first, last }: Lines, cause: unknown): DockerfileProblem {
  if (cause instanceof DockerfileProblem && cause.lines !== undefined) return cause;
  const message = `dockerfile parse error on line ${first}: ${errorMessage(cause)}`;
  return new DockerfileProblem(message, { first, last }, { cause });
}

/** Runs what is about these lines: what it throws gets them, if it has none. */
export function atLines<T>(lines: Lines, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw locatedAt(lines, error);
  }
}

function locatedAt(lines: Lines, error: unknown): unknown {
  if (error instanceof DockerfileProblem) {
    return error.lines === undefined ? new DockerfileProblem(error.message, lines, { cause: error }) : error;
  }
  if (isDaemonError(error)) return new DockerfileProblem(error.message, lines, { cause: error });
  return error;
}

/** What clients are told: everything else is passed on. */
export function buildErrorOf(error: unknown, info: SourceInfo): unknown {
  if (!(error instanceof DockerfileProblem)) return error;
  const ranges = error.lines === undefined ? [] : rangesOf(error.lines);
  const details = ranges.length === 0 ? [] : [{ kind: 'source' as const, info, ranges }];
  return new BuildError('Unknown', error.message, { cause: error, details });
}

/** An error of somebody else's about these lines. */
export function withLines(error: unknown, lines: Lines, info: SourceInfo): BuildError {
  return withDetails(error, [{ kind: 'source', info, ranges: rangesOf(lines) }]);
}
