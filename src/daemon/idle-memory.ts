// V8 keeps what a heap has grown to under work, and looks at it again only when there is more work; the C library keeps what was freed
// between what was not. So a daemon that has sent a large context or a large image, and is idle since, would hold twice what it
// needs. It collects when it is idle.

import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { log } from '../log';

const checkIntervalMs = 5000;
/** Microseconds of CPU in an interval. */
const idleCpuUs = 250_000;
/** Less is not worth the pause (a tenth of a second for 50 MiB under load). */
const worthwhileBytes = 12 * 1024 * 1024;

export interface IdleMemoryParts {
  /** Since the process has started; microseconds. */
  cpuUs: () => number;
  /** What the process has of memory. */
  residentBytes: () => number;
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
    this.#leastBytes = parts.residentBytes();
  }

  check(): void {
    const { cpuUs, residentBytes, collect } = this.#parts;
    const now = cpuUs();
    const isIdle = now - this.#cpuUs < idleCpuUs;
    this.#cpuUs = now;
    if (!isIdle || residentBytes() - this.#leastBytes < worthwhileBytes) return;
    collect();
    this.#leastBytes = residentBytes();
    this.#cpuUs = cpuUs();
  }
}

/** Looks from now on, to the process's end. `nativeDir`: where our libraries are. */
export function giveBackIdleMemory(nativeDir: string): void {
  const trim = loadTrim(join(nativeDir, 'memory.node'));
  const collect = (): void => {
    collectGarbage();
    trim();
  };
  const memory = new IdleMemory({ cpuUs, residentBytes: () => process.memoryUsage.rss(), collect });
  setInterval(() => memory.check(), checkIntervalMs).unref();
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** V8 gives the function only to contexts that are made while the flag is set. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collector = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collector();
  collector(); // what the first has emptied is given back by the second
}

/** native/addon/memory.c's. Without it, as with another C library, only V8's heap shrinks. */
function loadTrim(path: string): () => void {
  const library = { exports: {} as { trim: () => boolean } };
  try {
    process.dlopen(library, path);
    return library.exports.trim;
  } catch (error) {
    log.debug('memory of the C library is not given back', { path, error });
    return () => undefined;
  }
}
