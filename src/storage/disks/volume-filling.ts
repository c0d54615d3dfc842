// A volume's first use: the guest copies the image's files into it. A copy that was cut short must not pass for the
// volume's content, and who comes second waits for the first.

import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../../host/run-tool';

/** What one start fills. Exactly one of `complete` and `abandon` must be called; a second call does nothing. */
export interface VolumeFilling {
  /** Those of the volumes asked for that are empty: the caller fills them. */
  readonly names: ReadonlySet<string>;
  /** What is in them now is theirs. */
  complete(): Promise<void>;
  /** Empties them again, but for what others have. This start may write to them no more. */
  abandon(): Promise<void>;
}

const dataDirectory = '_data';
/** Beside the data while they are copied. There is one and nobody copies: a crash has cut a copy short. */
const markerFile = 'filling';

export class VolumeFillings {
  readonly #root: string;
  readonly #underWay = new Map<string, Promise<void>>();

  /** `root` holds a directory for each volume. */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Resolves when no other start fills any of these volumes. `isOthers`: whether a container that runs has the volume, which may
   * have put files of its own into it: it isn't emptied. Throws when one of them is gone.
   */
  async begin(
    names: Iterable<string>,
    isOthers: (name: string) => boolean = () => false,
  ): Promise<VolumeFilling> {
    const mine = new Map<string, () => void>();
    const end = async (each: (name: string) => Promise<void>): Promise<void> => {
      const held = [...mine];
      mine.clear();
      try {
        await Promise.all(held.map(([name]) => each(name)));
      } finally {
        for (const [name, release] of held) {
          this.#underWay.delete(name);
          release();
        }
      }
    };
    const abandon = (): Promise<void> =>
      end((name) => (isOthers(name) ? this.#unmark(name) : this.#empty(name)));
    try {
      // in one order for all, so that no two wait for each other
      for (const name of [...new Set(names)].sort()) {
        for (let other = this.#underWay.get(name); other !== undefined; other = this.#underWay.get(name))
          await other;
        this.#underWay.set(name, new Promise((resolve) => mine.set(name, resolve)));
        if (await this.#mark(name, isOthers)) continue;
        mine.get(name)?.();
        mine.delete(name);
        this.#underWay.delete(name);
      }
    } catch (error) {
      await abandon().catch(() => undefined);
      throw error;
    }
    return {
      names: new Set(mine.keys()),
      complete: () => end((name) => this.#unmark(name)),
      abandon,
    };
  }

  /** False when the volume has content. */
  async #mark(name: string, isOthers: (name: string) => boolean): Promise<boolean> {
    const cutShort = (await readdir(join(this.#root, name))).includes(markerFile);
    if (cutShort && isOthers(name)) await this.#unmark(name);
    else if (cutShort) await this.#empty(name);
    if ((await readdir(join(this.#root, name, dataDirectory))).length > 0) return false;
    await writeFile(this.#marker(name), '');
    return true;
  }

  /** By find(1), whose walk knows names in any encoding and is led nowhere by a directory that becomes a link. */
  async #empty(name: string): Promise<void> {
    const data = join(this.#root, name, dataDirectory);
    await runTool('find', [data, '-ignore_readdir_race', '-mindepth', '1', '-delete']);
    await this.#unmark(name);
  }

  async #unmark(name: string): Promise<void> {
    await rm(this.#marker(name), { force: true });
  }

  #marker(name: string): string {
    return join(this.#root, name, markerFile);
  }
}
