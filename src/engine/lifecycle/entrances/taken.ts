// What a start has taken so far: the way to give each thing back is put down beside the step that takes it.

import { log } from '../../../log';

export class UndoStack {
  readonly #containerId: string;
  readonly #steps: { failure: string; undo: () => unknown }[] = [];

  constructor(containerId: string) {
    this.#containerId = containerId;
  }

  /** `failure` is what the log says when it can't be undone. */
  push(failure: string, undo: () => unknown): void {
    this.#steps.push({ failure, undo });
  }

  /** The last step first; one that fails holds up no other. Never throws. */
  async undo(): Promise<void> {
    for (const { failure, undo } of this.#steps.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        log.error(failure, { containerId: this.#containerId, error });
      }
    }
  }
}

/** Of one attempt to start a container. What its VM uses can be given back only when the container is out of there. */
export class Taken {
  /** What it is in the VM, and what of the host must be as before once it is out. */
  readonly inVm: UndoStack;
  /** What the daemon has for the VM: log, endpoints, ports, volumes. */
  readonly onHost: UndoStack;

  constructor(containerId: string) {
    this.inVm = new UndoStack(containerId);
    this.onHost = new UndoStack(containerId);
  }

  /** Never throws. */
  async giveBack(): Promise<void> {
    await this.inVm.undo();
    await this.onHost.undo();
  }
}
