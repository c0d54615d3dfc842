// The template of a data root, left for those that come after it: each takes as much CPU time to make as ten containers. Only
// where test/integration/setup.ts has made a place for them; a test of how templates come about has its daemon make its own.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';

export const templatesVariable = 'CAISSON_TEST_TEMPLATES';
const keyPattern = /^[0-9a-f]{24}$/;
/** The users of a data root's VMs, to whom its templates pass. */
const usersFile = 'vm-uids';

/** Daemons of one process of jest's have the same users, one after the other. */
function place(): string | undefined {
  const directory = process.env[templatesVariable];
  return directory === undefined ? undefined : join(directory, process.env['JEST_WORKER_ID'] ?? '1');
}

/** Before the first start on a data root: a daemon makes none if those fit it. */
export function borrowTemplate(dataRoot: string): void {
  const from = place();
  if (from === undefined || !existsSync(join(from, usersFile)) || existsSync(join(dataRoot, usersFile)))
    return;
  mkdirSync(join(dataRoot, 'templates'), { recursive: true, mode: 0o711 });
  copyFileSync(join(from, usersFile), join(dataRoot, usersFile));
  for (const key of readdirSync(from).filter((name) => keyPattern.test(name)))
    symlinkSync(join(from, key), join(dataRoot, 'templates', key));
}

/** When no daemon has it any more, and before it is removed. */
export function lendTemplate(dataRoot: string): void {
  const to = place();
  if (to === undefined || !existsSync(join(dataRoot, 'templates'))) return;
  const [own, ...others] = readdirSync(join(dataRoot, 'templates'), { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && keyPattern.test(entry.name),
  );
  // with others it may be one of a size that a test has asked for
  if (own === undefined || others.length > 0 || !existsSync(join(own.parentPath, own.name, 'template.json')))
    return;
  mkdirSync(to, { recursive: true });
  chmodSync(to, 0o711);
  const users = join(dataRoot, usersFile);
  const shared = join(to, usersFile);
  if (!existsSync(shared)) copyFileSync(users, shared);
  else if (readFileSync(shared, 'utf8') !== readFileSync(users, 'utf8')) return;
  const target = join(to, own.name);
  // its memory file stays the same one: that is a template's seal
  if (!existsSync(target)) renameSync(join(own.parentPath, own.name), target);
}
