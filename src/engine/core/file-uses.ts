// Who works on the files of a container that runs. dockerd holds the container's lock for that: an exit is seen at once, and what
// follows it (a restart, the removal, the end of the VM) comes when the files are left alone.

export class FileUses {
  readonly #uses = new Set<Promise<unknown>>();

  /** Runs `work` as a use of the files. It must not wait for the container's queue. */
  during<T>(work: () => Promise<T>): Promise<T> {
    const use = work();
    this.#uses.add(use);
    const over = (): void => void this.#uses.delete(use);
    use.then(over, over);
    return use;
  }

  /** Resolves when nobody uses them. Never rejects. */
  async leftAlone(): Promise<void> {
    while (this.#uses.size > 0) await Promise.allSettled([...this.#uses]);
  }
}
