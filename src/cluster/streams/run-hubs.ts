// Who is attached to containers by way of this daemon. The output of a run comes from its supervisor once, however many are attached:
// over the session that started it where that was this daemon, over one of its own otherwise.

import { errorMessage } from '../../errors';
import { log } from '../../log';
import { isActive } from '../../semantics/containers/container-state';
import { StreamHub, type RunPosition, type StreamSubscription } from '../../semantics/streams/stream-hub';
import type { RunFollowers } from '../containers/context';
import type { ClusterContainer } from '../records/cluster-container';
import type { Following, ProcessInput } from '../supervisor/supervisor';
import { followLog } from './follow-log';
import type { ContainerReach } from './reach';
import { hubInput } from './run-output';

/** A start of this daemon's own hands its session over within this time, or it has failed. */
const handOverMs = 10_000;

/** A client's part of a run: close it. */
export interface Attachment {
  hub: StreamHub;
  subscription: StreamSubscription;
  close(): void;
}

/** Of all that a container's log has: positions go on from run to run. */
export const wholeLog = 'log';

/** Before what comes after it, by no less than its own bytes. */
function placeOf({ data, position }: { data: Buffer; position: number }): RunPosition {
  return { run: wholeLog, offset: position - data.length };
}

class RunHub {
  readonly container: ClusterContainer;
  readonly hub = new StreamHub();
  readonly #reach: ContainerReach;
  readonly #isOver: (run: RunHub) => void;
  readonly #over = new AbortController();
  #isPumping = false;
  #handOver: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;
  #lookAgain: (() => void) | undefined;
  clients = 0;

  /** `over`: whoever attaches from now on wants the next run. */
  constructor(reach: ContainerReach, container: ClusterContainer, over: (run: RunHub) => void) {
    this.#reach = reach;
    this.container = container;
    this.#isOver = over;
  }

  /** From now on. Resolves when nothing that comes can be missed. */
  async begin(): Promise<void> {
    if (this.#isPumping || this.#unlisten !== undefined) return;
    if (isActive(this.container.state)) {
      await this.#pump({ tail: 0 });
      return;
    }
    const before = JSON.stringify(this.container.state);
    let from = 0;
    this.#lookAgain = () => this.#look(before, from);
    this.#unlisten = this.#reach.onChange(this.container, this.#lookAgain);
    from = (await this.#reach.supervisor(this.container)?.state())?.end ?? 0;
  }

  /** Whether the command of a start that begins now is to wait for its clients, who get its session. */
  expectHandOver(): boolean {
    if (this.clients === 0 || this.#isPumping) return false;
    clearTimeout(this.#handOver);
    this.#handOver = setTimeout(() => this.giveUpHandOver(), handOverMs).unref();
    return true;
  }

  /** The start that was to hand over has failed. */
  giveUpHandOver(): void {
    clearTimeout(this.#handOver);
    this.#handOver = undefined;
    this.#lookAgain?.();
  }

  take(following: Following): void {
    clearTimeout(this.#handOver);
    this.#handOver = undefined;
    if (this.clients === 0 || this.#isPumping) following.close();
    else void this.#pump({ from: following.start.position, first: following });
  }

  end(): void {
    this.#unlisten?.();
    clearTimeout(this.#handOver);
    this.#over.abort();
    this.hub.endRun();
  }

  #look(before: string, from: number): void {
    // Of a start of ours the session brings everything, even if the run, or the container, is over before it is handed over.
    if (this.#isPumping || this.#handOver !== undefined) return;
    if (!this.#reach.isKnown(this.container)) this.end();
    else if (isActive(this.container.state)) void this.#pump({ from });
    else if (JSON.stringify(this.container.state) !== before) {
      // A start that failed, or a run that is over already: all that it said is there.
      void this.#pump({ from });
    }
  }

  /** Resolves when it has begun. */
  #pump(where: { from: number; first?: Following } | { tail: number }): Promise<void> {
    this.#isPumping = true;
    this.#unlisten?.();
    return new Promise((begun) => {
      void this.#carry(where, begun).finally(begun);
    });
  }

  async #carry(
    where: { from: number; first?: Following } | { tail: number },
    begun: () => void,
  ): Promise<void> {
    const { config } = this.container.record;
    let input: ProcessInput | undefined;
    const batches = followLog(
      {
        supervisor: () => this.#reach.supervisor(this.container),
        connected: (following) => {
          input = following.input;
          begun();
        },
        ...where,
        follow: isActive(this.container.state),
        holds: true,
      },
      this.#over.signal,
    );
    try {
      this.hub.beginRun(config.OpenStdin ? hubInput(() => input) : undefined);
      for await (const { events } of batches) {
        for (const event of events) {
          if (event.kind === 'output') this.hub.publish(event.stream, event.data, placeOf(event));
        }
        if (events.some(({ kind }) => kind === 'exited')) return;
        await this.hub.room();
      }
    } catch (error) {
      log.warn('the output of a container can be followed no more', {
        containerId: this.container.id,
        error: errorMessage(error),
      });
    } finally {
      this.#isOver(this);
      this.hub.endRun();
    }
  }
}

export class RunHubs implements RunFollowers {
  readonly #reach: () => ContainerReach;
  readonly #hubs = new Map<string, RunHub>();

  /** `reach`: at hand once there are containers. */
  constructor(reach: () => ContainerReach) {
    this.#reach = reach;
  }

  /** From now on: to the end of the present run, or of the next one. */
  async attach(
    container: ClusterContainer,
    wanted: { stdout: boolean; stderr: boolean },
  ): Promise<Attachment> {
    let run = this.#hubs.get(container.id);
    if (run === undefined) {
      run = new RunHub(this.#reach(), container, (over) => this.#drop(over));
      this.#hubs.set(container.id, run);
    }
    const { hub } = run;
    const mine = run;
    run.clients += 1;
    const subscription = hub.subscribe(wanted);
    let isOpen = true;
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      subscription.close();
      mine.clients -= 1;
      if (mine.clients === 0) this.#forget(mine);
    };
    try {
      await run.begin();
      return { hub, subscription, close };
    } catch (error) {
      close();
      throw error;
    }
  }

  holds(containerId: string): boolean {
    return this.#hubs.get(containerId)?.expectHandOver() ?? false;
  }

  begun(containerId: string, following: Following): void {
    const run = this.#hubs.get(containerId);
    if (run === undefined) following.close();
    else run.take(following);
  }

  failed(containerId: string): void {
    this.#hubs.get(containerId)?.giveUpHandOver();
  }

  #forget(run: RunHub): void {
    run.end();
    this.#drop(run);
  }

  #drop(run: RunHub): void {
    if (this.#hubs.get(run.container.id) === run) this.#hubs.delete(run.container.id);
  }
}
