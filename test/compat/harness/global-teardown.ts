// Once per run, after the last case. Runs in the process of global-setup.ts, whose module state it uses.

import { tearDown } from './global-setup';

export default async function end(): Promise<void> {
  if (process.env['CAISSON_COMPAT_KEEP'] === undefined) await tearDown();
}
