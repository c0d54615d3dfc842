// layers/: layers of images while they are worked on. A daemon in front of a cluster keeps none: what is made here goes into the
// registry that the operator names.
//
// A directory for one operation, and all workshops of a daemon.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { SquashfsLayerStore } from '../../storage/layers/layer-store';
import { ChangedDocuments } from '../images/changed-documents';

/** Close it: nothing of it outlives the operation. */
export class Workshop {
  readonly layers: SquashfsLayerStore;
  /** For what is spooled. */
  readonly temporaryDir: string;
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.temporaryDir = join(directory, 'tmp');
    this.layers = new SquashfsLayerStore(new ChangedDocuments(), directory, { withoutImages: true });
  }

  /** `directory` is there, and empty. */
  static async in(directory: string): Promise<Workshop> {
    const workshop = new Workshop(directory);
    await mkdir(workshop.temporaryDir);
    await workshop.layers.repair();
    return workshop;
  }

  async close(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export class Workshops {
  readonly #root: string;

  /** `root`: a directory of the daemon's, which is made when it is needed. */
  constructor(root: string) {
    this.#root = root;
  }

  /** At start-up: what daemons have left that were killed. Those of others that live stay. */
  async clean(): Promise<void> {
    const names = await readdir(this.#root).catch(() => []);
    for (const name of names) {
      const pid = Number(name.split('-')[0]);
      if (pid === process.pid || !isAlive(pid))
        await rm(join(this.#root, name), { recursive: true, force: true });
    }
  }

  /** Throws Internal where the daemon may not write. */
  async open(): Promise<Workshop> {
    try {
      await mkdir(this.#root, { recursive: true, mode: 0o700 });
      return await Workshop.in(await mkdtemp(join(this.#root, `${process.pid}-`)));
    } catch (error) {
      throw new DaemonError('Internal', `no place to work on layers (--data-root): ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  /** One for the time of `work`. */
  async use<T>(work: (workshop: Workshop) => Promise<T>): Promise<T> {
    const workshop = await this.open();
    try {
      return await work(workshop);
    } finally {
      await workshop.close().catch((error: unknown) => {
        log.warn('a directory of layers is left', { error: errorMessage(error) });
      });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's
  }
}
