// The run directory may be removed under a daemon that runs, by cleaners of temporary files for example. The daemon says so,
// and makes again what it can: containers go on, and the next ones can be started.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makePassableDirectory, makeRunDirectory } from '../host/directories';
import { errorMessage } from '../errors';
import { log } from '../log';

const checkIntervalMs = 2000;

export interface RunDirParts {
  runDir: string;
  /** Of the VMs' users. */
  vmGid: number;
  /** Each resolves with what was missing, for the log; nothing, if all is there. */
  mend: (() => Promise<string[]>)[];
}

/** Looks after it from now on. Returns what looks at once, and what ends it. */
export function careForRunDir(parts: RunDirParts): {
  check: () => Promise<void>;
  close: () => Promise<void>;
} {
  let checking: Promise<void> | undefined;
  const check = (): Promise<void> => {
    checking ??= mendRunDir(parts)
      .catch((error: unknown) =>
        log.error('the run directory can’t be mended', { error: errorMessage(error) }),
      )
      .finally(() => (checking = undefined));
    return checking;
  };
  const timer = setInterval(() => void check(), checkIntervalMs).unref();
  return {
    check,
    close: async () => {
      clearInterval(timer);
      await checking;
    },
  };
}

async function mendRunDir({ runDir, vmGid, mend }: RunDirParts): Promise<void> {
  const missing: string[] = [];
  if (!existsSync(runDir)) {
    missing.push(runDir);
    await makeRunDirectory(runDir);
  }
  const vmsDir = join(runDir, 'vms');
  if (!existsSync(vmsDir)) {
    missing.push(vmsDir);
    await makePassableDirectory(vmsDir, vmGid);
  }
  for (const step of mend) missing.push(...(await step()));
  if (missing.length === 0) return;
  log.error(
    'somebody has removed files of the run directory: containers go on, but VMs whose directory it was end with this daemon',
    { missing },
  );
}
