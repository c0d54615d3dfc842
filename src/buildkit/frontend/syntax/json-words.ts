// Arguments as a JSON array of texts.

import { isDaemonError } from '../../../errors';
import { jsonArray } from '../../../dockerfile/words';
import { DockerfileProblem } from '../text/problem';
import type { Statement } from '../text/statement';

/** Undefined for what is not meant as JSON. Throws DockerfileProblem for an array of something else. */
export function jsonWords({ body, lines }: Pick<Statement, 'body' | 'lines'>): string[] | undefined {
  try {
    return jsonArray(body);
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    throw new DockerfileProblem(error.message, lines, { cause: error });
  }
}
