// Once per run, after the last case. Runs in the process of global-setup.ts, whose module state it uses.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replyErrors, type WireReply } from '../../support/wire-replies';
import { compatEnvironment } from './environment';
import { tearDown } from './global-setup';

export default async function end(): Promise<void> {
  const errors = wireErrors();
  if (process.env['CAISSON_COMPAT_KEEP'] === undefined) await tearDown();
  if (errors.length > 0) {
    throw new Error(`replies that are not as src/api/v1.41/wire declares them:\n  ${errors.join('\n  ')}`);
  }
}

/** Whatever client asked: every answer of Caisson in JSON is what its type says. */
function wireErrors(): string[] {
  const file = join(compatEnvironment().dir, 'c', 'replies.ndjson');
  if (!existsSync(file)) return [];
  const errors = new Set<string>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue;
    for (const error of replyErrors(JSON.parse(line) as WireReply)) errors.add(error);
  }
  return [...errors];
}
