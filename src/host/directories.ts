// Directories with the mode that is meant, whatever the umask is: the daemon's own is 077 (main.ts), and what others
// need to reach says so here.

import { chmod, chown, mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Of directories that are made for others to use: mount sources, the directory of a socket, whatever leads there. */
const openMode = 0o755;

/** Makes a directory for root alone, or mends one that is there. Directories above it that are missing are for everybody. */
export async function makePrivateDirectory(path: string): Promise<void> {
  await makeDirectory(path, 0o700);
}

/**
 * A directory that VMs must get through to files that they are told of, and may not look around in. `gid` is the group
 * that they all have; nobody else gets in. Undefined, without users of their own: everybody passes.
 */
export async function makePassableDirectory(path: string, gid: number | undefined): Promise<void> {
  await makeDirectory(path, gid === undefined ? 0o711 : 0o700);
  if (gid === undefined) return;
  await chown(path, process.getuid?.() ?? 0, gid);
  await chmod(path, 0o710);
}

/** A directory that everybody passes who was told of something in it, and nobody else lists. */
export async function makeRunDirectory(path: string): Promise<void> {
  await makeDirectory(path, 0o711);
}

/** As `mkdir -p` of a user whose umask is 022: one that is there stays as it is. Rejects with a Node system error. */
export async function makeOpenDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first !== undefined) await openUp(resolve(path), first);
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first !== undefined && first !== resolve(path)) await openUp(dirname(resolve(path)), first);
  await chmod(path, mode);
}

/** `first` is the topmost of those that were made. */
async function openUp(path: string, first: string): Promise<void> {
  for (let made = path; ; made = dirname(made)) {
    await chmod(made, openMode);
    if (made === first || made === dirname(made)) return;
  }
}
