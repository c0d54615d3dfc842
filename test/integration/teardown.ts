// What setup.ts has made goes with the run.

import { rmSync } from 'node:fs';

import { templatesVariable } from '../support/engines/shared-template';

export default function tearDown(): void {
  const directory = process.env[templatesVariable];
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
}
