// A place for templates that the tests of a run share (test/support/engines/shared-template.ts); teardown.ts removes it.

import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { templatesVariable } from '../support/engines/shared-template';

export default function setUp(): void {
  const directory = mkdtempSync(join(tmpdir(), 'caisson-templates-'));
  chmodSync(directory, 0o711);
  process.env[templatesVariable] = directory;
}
