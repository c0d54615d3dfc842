// V8 keeps what a heap has grown to under work, and looks at it again only when there is more work. So a daemon that has sent a
// large context or a large image, and is idle since, would hold half as much again as it needs. It collects when it is idle.

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const checkIntervalMs = 5000;
/** Microseconds of CPU in an interval. */
const idleCpuUs = 250_000;
/** Less is not worth the pause (a tenth of a second for 50 MiB under load). */
const worthwhileBytes = 12 * 1024 * 1024;

export interface IdleMemoryParts {
  /** Since the process has started; microseconds. */
  cpuUs: () => number;
  /** What the heap takes of memory. */
  heapBytes: () => number;
  collect: () => void;
}

/** Looks once in each interval. What is compared is CPU time: of a busy host's daemon that is idle as well. */
export class IdleMemory {
  readonly #parts: IdleMemoryParts;
  #cpuUs: number;
  /** After the last collection. */
  #leastBytes: number;

  constructor(parts: IdleMemoryParts) {
    this.#parts = parts;
    this.#cpuUs = parts.cpuUs();
    this.#leastBytes = parts.heapBytes();
  }

  check(): void {
    const { cpuUs, heapBytes, collect } = this.#parts;
    const now = cpuUs();
    const isIdle = now - this.#cpuUs < idleCpuUs;
    this.#cpuUs = now;
    if (!isIdle || heapBytes() - this.#leastBytes < worthwhileBytes) return;
    collect();
    this.#leastBytes = heapBytes();
    this.#cpuUs = cpuUs();
  }
}

/** Looks from now on, to the process's end. */
export function giveBackIdleMemory(): void {
  const memory = new IdleMemory({ cpuUs, heapBytes: () => getHeapStatistics().total_heap_size, collect });
  setInterval(() => memory.check(), checkIntervalMs).unref();
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** V8 gives the function only to contexts that are made while the flag is set. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const collector = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collector();
  collector(); // what the first has emptied is given back by the second
}
