// Volumes of the `local` driver with `type=tmpfs`: memory of the host, mounted over the volume's directory as long as any
// container that runs has it, as dockerd does. Containers that run at once share it; the last one takes its content along.

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { Gates } from '../../async/gates';
import { DaemonError, errorMessage } from '../../errors';
import { runTool } from '../../host/run-tool';
import { log } from '../../log';

/** The volume's options: `device` and the words of `o`. */
export interface TmpfsOptions {
  device: string;
  words: readonly string[];
}

/** Guests have their own say about these; on the host nobody runs or opens what lies there. */
const hostOptions = ['nosuid', 'nodev', 'noexec'];

export class TmpfsVolumes {
  readonly #pathOf: (name: string) => string;
  /** By volume. */
  readonly #users = new Map<string, Set<string>>();
  readonly #gates = new Gates();

  /** `pathOf`: where a volume is mounted. */
  constructor(pathOf: (name: string) => string) {
    this.#pathOf = pathOf;
  }

  /** Mounted when it resolves, and empty if nobody else has it. Throws in dockerd's words; then it is not used. */
  async use(name: string, user: string, options: TmpfsOptions): Promise<void> {
    const users = this.#usersOf(name);
    const isFirst = users.size === 0;
    users.add(user);
    try {
      await this.#gates.of(name).run(async () => {
        if (isFirst) await this.#unmount(name);
        if (!(await this.#isMounted(name))) await this.#mount(name, options);
      });
    } catch (error) {
      users.delete(user);
      throw error;
    }
  }

  /** One that an earlier daemon has let run has it. */
  adopt(name: string, user: string): void {
    this.#usersOf(name).add(user);
  }

  /** Of all that it uses. Never rejects. */
  async leave(user: string): Promise<void> {
    await Promise.all(
      [...this.#users].map(async ([name, users]) => {
        if (!users.delete(user) || users.size > 0) return;
        await this.release(name);
      }),
    );
  }

  /** Unmounts it unless somebody uses it. Never rejects: the next use tries again. */
  async release(name: string): Promise<void> {
    await this.#gates
      .of(name)
      .run(async () => {
        if (this.#usersOf(name).size === 0) await this.#unmount(name);
      })
      .catch((error: unknown) =>
        log.warn('a tmpfs volume could not be unmounted', { volume: name, error: errorMessage(error) }),
      );
  }

  #usersOf(name: string): Set<string> {
    const users = this.#users.get(name) ?? new Set();
    this.#users.set(name, users);
    return users;
  }

  async #isMounted(name: string): Promise<boolean> {
    const path = this.#pathOf(name);
    const [mounted, around] = await Promise.all([stat(path), stat(dirname(path))]);
    return mounted.dev !== around.dev;
  }

  async #mount(name: string, { device, words }: TmpfsOptions): Promise<void> {
    const path = this.#pathOf(name);
    const options = [...words, ...hostOptions].join(',');
    try {
      await runTool('mount', ['--no-canonicalize', '-t', 'tmpfs', '-o', options, '--', device, path]);
    } catch (error) {
      const data = words.length === 0 ? '' : `, data: ${words.join(',')}`;
      throw new DaemonError(
        'Internal',
        `error while mounting volume '${path}': failed to mount local volume: mount ${device}:${path}${data}: ${errorMessage(error)}`,
        { cause: error },
      );
    }
  }

  /** The file server of a VM that is about to end may still have it open. */
  async #unmount(name: string): Promise<void> {
    while (await this.#isMounted(name)) await runTool('umount', ['--lazy', '--', this.#pathOf(name)]);
  }
}
