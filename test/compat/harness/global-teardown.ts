// Once per run, after the last case. Runs in the process of global-setup.ts, whose module state it uses.

import { join } from 'node:path';
import { recordedReplyErrors } from '../../support/wire/wire-replies';
import { reportOfRun } from './cost';
import { compatEnvironment } from './environment';
import { tearDown } from './global-setup';

export default async function end(): Promise<void> {
  const errors = recordedReplyErrors(join(compatEnvironment().dir, 'c', 'replies.ndjson'));
  if (process.env['CAISSON_COMPAT_KEEP'] === undefined) await tearDown();
  const report = reportOfRun();
  if (report !== undefined) process.stdout.write(`\n${report}\n`);
  if (errors.length > 0) {
    throw new Error(`replies that are not as src/docker declares them:\n  ${errors.join('\n  ')}`);
  }
}
