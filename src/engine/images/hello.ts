// `caisson/hello`, which no registry has: a pull of it makes it on this machine, of Debian's busybox.

import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressWriter } from '../../api/v1.41/backend';
import { runTool } from '../../host/run-tool';
import type { ImageStore } from '../../storage/contract/stores';

const helloReference = 'caisson/hello';
const recipe = join(__dirname, '..', '..', '..', 'scripts', 'hello-image.sh');

/** Whether the reference, as the client gave it, means that image. */
export function isHello(reference: string): boolean {
  return [helloReference, `${helloReference}:latest`].includes(reference.replace(/^docker\.io\//, ''));
}

/** Throws Internal where this machine lacks what it is made of. */
export async function makeHello(
  images: Pick<ImageStore, 'load'>,
  progress: ProgressWriter,
  signal: AbortSignal,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-hello-'));
  try {
    const archive = join(directory, 'hello.tar');
    progress({ status: `Making ${helloReference} on this machine` });
    await runTool('bash', [recipe, archive]);
    await images.load(createReadStream(archive), { quiet: true }, () => undefined, signal);
    progress({ status: `Status: Image is up to date for ${helloReference}:latest` });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
