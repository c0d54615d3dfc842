// `caisson prepare`: everything the first container would otherwise wait for. For `npm run setup` and for packages.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config';
import { makeRootDirectories } from '../daemon/directories';
import { lockDataRoot, lockRunDir } from '../daemon/lock';
import { takeVmUsers } from '../daemon/vm-users';
import { isDaemonError } from '../errors';
import { PrivateNamespace } from '../network/namespace';
import { createVmPool } from '../vm/pool/vm-pool';
import { print, type Format } from './client/output';
import { step } from './terminal/steps';

/**
 * Finds out the accelerator and makes the template, unless that has been done. With a daemon on the same data root there
 * is nothing to do: it has both. Throws what is wrong.
 */
export async function prepare(config: Config, format: Format): Promise<void> {
  await takeVmUsers(config);
  await makeRootDirectories(config);
  let unlock: () => Promise<void>;
  try {
    unlock = await lockDataRoot(config.dataRoot);
  } catch (error) {
    if (!isDaemonError(error) || error.code !== 'Conflict') throw error;
    const who = error.message.split(':')[0] ?? '';
    print(format, { state: 'prepared by the daemon that runs' }, () => `${who}, and has prepared it\n`);
    return;
  }
  try {
    const unlockRunDir = await lockRunDir(config);
    try {
      await makeTemplate(config, format);
    } finally {
      await unlockRunDir();
    }
  } finally {
    await unlock();
  }
}

async function makeTemplate(config: Config, format: Format): Promise<void> {
  const path = join(config.runDir, 'netns');
  // The template's devices are those of the daemon's VMs, whose taps are in the private namespace.
  const isOurs = !existsSync(path);
  const namespace = await PrivateNamespace.open(path);
  try {
    const pool = await step('finding out the accelerator', () => createVmPool(config, path));
    try {
      await step('making the template: a VM boots, and is kept as it is then', () => pool.ensureTemplate());
      const { accelerator, acceleratorReason } = pool.status();
      print(
        format,
        { state: 'ready', accelerator, acceleratorReason },
        () => `accelerator: ${accelerator} (${acceleratorReason}); the template is ready\n`,
      );
    } finally {
      await pool.close({ endIdle: true });
    }
  } finally {
    // What an earlier daemon left running may be in one that was there before.
    if (isOurs) await namespace.remove();
  }
}
