// What is asked for a Pod's VM, before the Pod has one, while it has, and afterwards.

export interface PodWishes {
  /** The VM does not end with the Pod's last container. */
  pinned: boolean;
  /** When the Pod ends, its VM stays, Idle, for whoever names it. */
  kept: boolean;
  /** VM that the Pod's next start shall take; undefined: any. */
  vmId: string | undefined;
}

const none: Readonly<PodWishes> = { pinned: false, kept: false, vmId: undefined };

/** By Pod. */
export class Wishes {
  readonly #wishes = new Map<string, PodWishes>();

  of(podId: string): Readonly<PodWishes> {
    return this.#wishes.get(podId) ?? none;
  }

  change(podId: string, changes: Partial<PodWishes>): void {
    const wishes = { ...this.of(podId), ...changes };
    if (wishes.pinned || wishes.kept || wishes.vmId !== undefined) this.#wishes.set(podId, wishes);
    else this.#wishes.delete(podId);
  }
}
