// Containers, networks and volumes whose time is over, since whoever made them may be gone: a job of CI that was killed.

import type { NetworkInspect, Volume } from '../../docker/types';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ClusterContext } from '../containers/context';
import { removeContainer } from '../containers/remove';
import { timeToLiveMs } from '../contract/time-to-live';

const lookMs = 15_000;

export interface Expiring {
  id: string;
  labels: Readonly<Record<string, string>> | null | undefined;
  created: string;
  /** Throws Docker's refusal where something still has it. */
  remove: () => Promise<void>;
}

/** Of each kind what there is; what has others comes before them. */
export type ExpiringKinds = Readonly<Record<string, () => Promise<readonly Expiring[]>>>;

interface Networks {
  list(filters: Map<string, string[]>, options: { detailed: boolean }): Promise<NetworkInspect[]>;
  remove(id: string): Promise<void>;
}

interface Volumes {
  list(filters: Map<string, string[]>): Promise<{ Volumes: Volume[] | null }>;
  remove(name: string, options: { force: boolean }): Promise<void>;
}

export function expiringKinds(context: ClusterContext, networks: Networks, volumes: Volumes): ExpiringKinds {
  return {
    container: () =>
      Promise.resolve(
        context.containers.list().map(({ id, record }) => ({
          id,
          labels: record.config.Labels,
          created: record.createdAt,
          remove: () => removeContainer(context, id, { force: true, volumes: true, link: false }),
        })),
      ),
    network: async () =>
      (await networks.list(new Map(), { detailed: false })).map(({ Id, Labels, Created }) => ({
        id: Id,
        labels: Labels,
        created: Created,
        remove: () => networks.remove(Id),
      })),
    volume: async () =>
      ((await volumes.list(new Map())).Volumes ?? []).map(({ Name, Labels, CreatedAt }) => ({
        id: Name,
        labels: Labels,
        created: CreatedAt ?? '',
        remove: () => volumes.remove(Name, { force: false }),
      })),
  };
}

export class Expiry {
  readonly #kinds: ExpiringKinds;
  readonly #byLabel: Readonly<Record<string, number>>;

  constructor(kinds: ExpiringKinds, byLabel: Readonly<Record<string, number>>) {
    this.#kinds = kinds;
    this.#byLabel = byLabel;
  }

  /** Returns what ends it. */
  start(): () => void {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      void this.look().finally(() => (busy = false));
    }, lookMs).unref();
    return () => clearInterval(timer);
  }

  async look(): Promise<void> {
    for (const [kind, list] of Object.entries(this.#kinds)) {
      try {
        for (const each of await list()) if (this.#isOver(each)) await this.#remove(kind, each);
      } catch (error) {
        log.debug('what is over is not looked for', { kind, error: errorMessage(error) });
      }
    }
  }

  /** By the clocks of machines, which made it and which look: minutes, as TTLs are, are not for less. */
  #isOver({ labels, created }: Expiring): boolean {
    const ms = timeToLiveMs(labels, this.#byLabel);
    // what has no time that can be read is not removed
    return ms !== undefined && Date.now() - Date.parse(created) >= ms;
  }

  async #remove(kind: string, { id, remove }: Expiring): Promise<void> {
    try {
      await remove();
      log.info('it is removed since its time is over', { kind, id });
    } catch (error) {
      log.debug('its time is over, and it can not be removed yet', { kind, id, error: errorMessage(error) });
    }
  }
}
