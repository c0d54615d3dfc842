// The wall clocks of the guests. A VM has a clock of its own, which nobody in it sets: it is wrong after the host was suspended or
// its clock was set, and the emulated ones drift. They are compared with the host's now and then, and put right.

import { log } from '../../log';
import { nowNanoseconds } from '../../go/timestamp';
import type { Agent } from '../../vm/contract/agent';
import type { RunningPod } from './running-pod';

const checkMs = 1_000;
/** How often all are compared even if nothing has happened to the host: against drift. */
const checksBetweenComparisons = 300;
/** The host's clock is never moved by more than this between two checks unless it is set, or the host was suspended. */
const jumpMs = 50;
/** Less is left alone: the comparison itself is not more exact on a busy host. */
const toleratedUsec = 20_000;

/** Compares the guest's wall clock with the host's and puts it right. Rejects when the agent does not answer. */
export async function setClock(agent: Pick<Agent, 'request'>): Promise<void> {
  const sentUsec = nowUsec();
  const { timeUsec } = await agent.request('clock', { adjustUsec: 0 });
  const receivedUsec = nowUsec();
  const behindUsec = (sentUsec + receivedUsec) / 2 - timeUsec;
  // what the answer took may have passed before or behind the look at the clock
  const uncertainUsec = (receivedUsec - sentUsec) / 2;
  if (Math.abs(behindUsec) <= Math.max(toleratedUsec, uncertainUsec)) return;
  await agent.request('clock', { adjustUsec: Math.round(behindUsec) });
}

function nowUsec(): number {
  return Number(nowNanoseconds() / 1000n);
}

/** The host's clock, as it can be set for a test. */
export interface HostClock {
  /** Milliseconds since the epoch. */
  wall: () => number;
  /** Milliseconds that no setting of the clock changes, and that stand still while the host is suspended. */
  monotonic: () => number;
}

const hostClock: HostClock = { wall: () => Date.now(), monotonic: () => performance.now() };

export class GuestClocks {
  readonly #pods: () => Iterable<RunningPod>;
  readonly #clock: HostClock;
  #offset: number;
  #checks = 0;

  constructor(pods: () => Iterable<RunningPod>, clock = hostClock) {
    this.#pods = pods;
    this.#clock = clock;
    this.#offset = this.#hostOffset();
  }

  /** Compares all at once, and from then on as it is needed. Returns what ends that. */
  start(): () => void {
    void this.setAll();
    const timer = setInterval(() => void this.check(), checkMs).unref();
    return () => clearInterval(timer);
  }

  /** Sets all if the host's clock has jumped, or the last comparison is long ago. */
  async check(): Promise<void> {
    const offset = this.#hostOffset();
    const jumped = Math.abs(offset - this.#offset) > jumpMs;
    this.#offset = offset;
    this.#checks += 1;
    if (jumped) log.info('the host was suspended or its clock set: so are the clocks of its VMs');
    else if (this.#checks < checksBetweenComparisons) return;
    this.#checks = 0;
    await this.setAll();
  }

  /** Never rejects: a guest that does not answer now is asked again later. */
  async setAll(): Promise<void> {
    await Promise.all(
      [...this.#pods()].map((pod) =>
        setClock(pod.vm.agent).catch((error: unknown) =>
          log.debug("a guest's clock was not compared", { podId: pod.id, error }),
        ),
      ),
    );
  }

  #hostOffset(): number {
    return this.#clock.wall() - this.#clock.monotonic();
  }
}
