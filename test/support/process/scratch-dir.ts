// Directories for daemons under test.

import { chmodSync, mkdtempSync } from 'node:fs';

/** A new directory under /tmp that VMs' unprivileged users may pass; short, for the sake of socket paths. */
export function makeScratchDir(name: string): string {
  const dir = mkdtempSync(`/tmp/caisson-${name}-`);
  chmodSync(dir, 0o711);
  return dir;
}
