import { join } from 'node:path';

import { projectDir } from '../../support/process/project-dir';

it('gives back what was freed, and says whether there was any', () => {
  const addon = { exports: {} as { trim: () => unknown } };
  process.dlopen(addon, join(projectDir, 'build/native/memory.node'));
  expect([true, false]).toContain(addon.exports.trim());
});
