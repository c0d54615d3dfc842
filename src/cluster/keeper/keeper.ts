// All that the holder of the Lease does.

import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ClusterContext } from '../containers/context';
import { ExitKeeper } from './exits';
import { keepHealths } from './healths';
import type { LeaseHolder } from './lease';
import { Reaper } from './reaper';

const trimMs = 10_000;

/** `others`: what else is for one daemon alone; each begins, and gives what ends it. Returns what ends all. */
export function startKeeper(
  context: ClusterContext,
  lease: LeaseHolder,
  others: readonly (() => () => void)[],
): () => Promise<void> {
  let undo: (() => void)[] = [];
  const lost = (): void => {
    for (const step of undo.splice(0)) step();
  };
  const gained = (): void => {
    const exits = new ExitKeeper(context);
    exits.start();
    const reaper = new Reaper(context);
    reaper.start();
    const trimming = setInterval(() => {
      context.events.trim().catch((error: unknown) => {
        log.debug('old events are still there', { error: errorMessage(error) });
      });
    }, trimMs).unref();
    undo = [
      () => exits.stop(),
      () => reaper.stop(),
      keepHealths(context),
      () => clearInterval(trimming),
      ...others.map((begin) => begin()),
    ];
  };
  lease.start(gained, lost);
  return async () => {
    lost();
    await lease.close();
  };
}
